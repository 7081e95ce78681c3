// Procedures of live migration, version 3 with typed parameters.

import { procedure } from '../rpc/procedure.ts';
import { intBool, opaque, optional, string, uhyper, uint32 } from '../xdr/schema.ts';
import { domainRef, MAX_COOKIE_BYTES, nothing, typedParams } from './types.ts';

// The phases of one migration belong to one connection: the daemon cancels the migration when the connection
// that began it closes.
const phase = { pace: 'pinned', hasDeadline: false } as const;
const dom = domainRef;
const flags = uint32();
const params = typedParams(64);
/** XML text that the two daemons exchange through us; passed on untouched. */
const cookie = opaque(MAX_COOKIE_BYTES);

export const migration = {
  begin3: procedure(
    'DOMAIN_MIGRATE_BEGIN3_PARAMS',
    302,
    { dom, params, flags },
    { cookie, xml: string() },
    phase,
  ),
  prepare3: procedure(
    'DOMAIN_MIGRATE_PREPARE3_PARAMS',
    303,
    { params, cookie, flags },
    { cookie, uri: optional(string()) },
    phase,
  ),
  perform3: procedure(
    'DOMAIN_MIGRATE_PERFORM3_PARAMS',
    305,
    { dom, destinationUri: optional(string()), params, cookie, flags },
    { cookie },
    phase,
  ),
  finish3: procedure(
    'DOMAIN_MIGRATE_FINISH3_PARAMS',
    306,
    { params, cookie, flags, cancelled: intBool() },
    { dom, cookie },
    phase,
  ),
  confirm3: procedure(
    'DOMAIN_MIGRATE_CONFIRM3_PARAMS',
    307,
    { dom, params, cookie, flags, cancelled: intBool() },
    nothing,
    phase,
  ),
  setMaxSpeed: procedure(
    'DOMAIN_MIGRATE_SET_MAX_SPEED',
    207,
    { dom, mibPerSecond: uhyper(), flags },
    nothing,
  ),
  maxSpeed: procedure('DOMAIN_MIGRATE_GET_MAX_SPEED', 242, { dom, flags }, { mibPerSecond: uhyper() }),
  setMaxDowntime: procedure('DOMAIN_MIGRATE_SET_MAX_DOWNTIME', 166, { dom, ms: uhyper(), flags }, nothing),
  maxDowntime: procedure('DOMAIN_MIGRATE_GET_MAX_DOWNTIME', 387, { dom, flags }, { ms: uhyper() }),
  startPostCopy: procedure('DOMAIN_MIGRATE_START_POST_COPY', 364, { dom, flags }, nothing),
};

/** Peer-to-peer: one call on the source's daemon, which drives the destination's. Blocks until all is done. */
export const peerToPeer = { ...migration.perform3, pace: 'long' } as const;
