// Procedures of the block layer: block jobs, sizes, statistics, throttling.

import { procedure } from '../rpc/procedure.ts';
import { array, int32, intBool, optional, string, struct, uhyper, uint32 } from '../xdr/schema.ts';
import { domainRef, nothing, typedParams } from './types.ts';

// Opening a destination that does not answer blocks these as long as it is silent.
const long = { pace: 'long', takesJob: true } as const;
const dom = domainRef;
const flags = uint32();
/** A target dev ("vda"), a chain element ("vda[3]", where the call takes one) or the source's path. */
const disk = string();

export const block = {
  copy: procedure(
    'DOMAIN_BLOCK_COPY',
    345,
    { dom, disk, destXml: string(), params: typedParams(16), flags },
    nothing,
    long,
  ),
  rebase: procedure(
    'DOMAIN_BLOCK_REBASE',
    266,
    { dom, disk, base: optional(string()), bandwidth: uhyper(), flags },
    nothing,
    long,
  ),
  commit: procedure(
    'DOMAIN_BLOCK_COMMIT',
    290,
    { dom, disk, base: optional(string()), top: optional(string()), bandwidth: uhyper(), flags },
    nothing,
    long,
  ),
  pull: procedure('DOMAIN_BLOCK_PULL', 240, { dom, disk, bandwidth: uhyper(), flags }, nothing, long),
  // Returns only when the job is gone, unless told otherwise.
  jobAbort: procedure('DOMAIN_BLOCK_JOB_ABORT', 237, { dom, disk, flags }, nothing, long),
  jobSetSpeed: procedure(
    'DOMAIN_BLOCK_JOB_SET_SPEED',
    239,
    { dom, disk, bandwidth: uhyper(), flags },
    nothing,
  ),
  jobInfo: procedure(
    'DOMAIN_GET_BLOCK_JOB_INFO',
    238,
    { dom, disk, flags },
    { found: intBool(), type: int32(), bandwidth: uhyper(), cur: uhyper(), end: uhyper() },
  ),
  info: procedure(
    'DOMAIN_GET_BLOCK_INFO',
    194,
    { dom, disk, flags },
    { allocation: uhyper(), capacity: uhyper(), physical: uhyper() },
  ),
  stats: procedure(
    'DOMAIN_BLOCK_STATS_FLAGS',
    243,
    { dom, disk, nparams: int32(), flags },
    { params: typedParams(16), nparams: int32() },
  ),
  resize: procedure('DOMAIN_BLOCK_RESIZE', 251, { dom, disk, size: uhyper(), flags }, nothing, long),
  setThreshold: procedure(
    'DOMAIN_SET_BLOCK_THRESHOLD',
    386,
    { dom, dev: string(), threshold: uhyper(), flags },
    nothing,
  ),
  setIoTune: procedure(
    'DOMAIN_SET_BLOCK_IO_TUNE',
    252,
    { dom, disk, params: typedParams(32), flags },
    nothing,
  ),
  ioTune: procedure(
    'DOMAIN_GET_BLOCK_IO_TUNE',
    253,
    { dom, disk: optional(disk), nparams: int32(), flags },
    { params: typedParams(32), nparams: int32() },
  ),
  errors: procedure(
    'DOMAIN_GET_DISK_ERRORS',
    263,
    { dom, max: uint32(), flags },
    { errors: array(struct({ disk: string(), error: int32() }), 256), count: int32() },
  ),
};
