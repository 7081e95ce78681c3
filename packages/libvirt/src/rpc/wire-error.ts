// The error struct of a reply with status ERROR (virNetMessageError).

import { int32, optional, string, struct } from '../xdr/schema.ts';
import { uuid } from '../xdr/special.ts';

const domain = struct({ name: string(), uuid: uuid(), id: int32() });
const network = struct({ name: string(), uuid: uuid() });

export const wireError = struct({
  code: int32(),
  domain: int32(),
  message: optional(string()),
  level: int32(),
  dom: optional(domain),
  str1: optional(string()),
  str2: optional(string()),
  str3: optional(string()),
  int1: int32(),
  int2: int32(),
  net: optional(network),
});
