// Procedures that turn events on and off.

import { procedure } from '../rpc/procedure.ts';
import { int32, optional } from '../xdr/schema.ts';
import { domainRef, nothing, poolRef } from './types.ts';

const instant = { pace: 'instant' } as const;

export const eventRegistration = {
  // Never mix with the older 105/106 and 167/168: those end registrations made by these.
  domain: procedure(
    'CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY',
    316,
    { eventId: int32(), dom: optional(domainRef) },
    { callbackId: int32() },
    instant,
  ),
  domainEnd: procedure(
    'CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY',
    317,
    { callbackId: int32() },
    nothing,
    instant,
  ),
  pool: procedure(
    'CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY',
    368,
    { eventId: int32(), pool: optional(poolRef) },
    { callbackId: int32() },
    instant,
  ),
  poolEnd: procedure(
    'CONNECT_STORAGE_POOL_EVENT_DEREGISTER_ANY',
    369,
    { callbackId: int32() },
    nothing,
    instant,
  ),
};
