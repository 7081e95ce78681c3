// Procedures of virtual networks: as much as it takes to see whether a domain finds its networks on a host.
import { procedure } from '../rpc/procedure.ts';
import { intBool, string, struct } from '../xdr/schema.ts';
import { uuid } from '../xdr/special.ts';

const network = struct({ name: string(), uuid: uuid() });

export const networks = {
  byName: procedure('NETWORK_LOOKUP_BY_NAME', 46, { name: string() }, { network }, { pace: 'instant' }),
  isActive: procedure('NETWORK_IS_ACTIVE', 152, { network }, { active: intBool() }),
};
