// Procedures of secrets: passphrases and keys that libvirt keeps for disks.
import { procedure } from '../rpc/procedure.ts';
import { int32, opaque, string, struct, uint32 } from '../xdr/schema.ts';
import { uuid } from '../xdr/special.ts';

const instant = { pace: 'instant' } as const;
const secret = struct({ uuid: uuid(), usageType: int32(), usageId: string() });
/** REMOTE_SECRET_VALUE_MAX */
const MAX_VALUE_BYTES = 65_536;

export const secrets = {
  byUuid: procedure('SECRET_LOOKUP_BY_UUID', 141, { uuid: uuid() }, { secret }, instant),
  value: procedure(
    'SECRET_GET_VALUE',
    145,
    { secret, flags: uint32() },
    { value: opaque(MAX_VALUE_BYTES) },
    instant,
  ),
};
