// Wire types that many procedures share. Limits are those of libvirt's remote_protocol.x.

import { array, double, hyper, type Infer, int32, string, struct, uhyper, uint32 } from '../xdr/schema.ts';
import { union, uuid } from '../xdr/special.ts';

/** A domain's handle. The daemon matches on the uuid alone; id is -1 while the domain is not running. */
export const domainRef = struct({ name: string(), uuid: uuid(), id: int32() });
export type DomainRef = Infer<typeof domainRef>;

export const poolRef = struct({ name: string(), uuid: uuid() });
export type PoolRef = Infer<typeof poolRef>;

export const volumeRef = struct({ pool: string(), name: string(), key: string() });
export type VolumeRef = Infer<typeof volumeRef>;

export const snapshotRef = struct({ name: string(), domain: domainRef });
export type SnapshotRef = Infer<typeof snapshotRef>;

export const checkpointRef = struct({ name: string(), domain: domainRef });
export type CheckpointRef = Infer<typeof checkpointRef>;

/** virTypedParameter: a name, and a value that says which of seven types it is. The server checks the type exactly. */
export const typedParam = struct({
  field: string(),
  value: union({
    int: [1, int32()],
    uint: [2, uint32()],
    llong: [3, hyper()],
    ullong: [4, uhyper()],
    double: [5, double()],
    boolean: [6, int32()],
    string: [7, string()],
  }),
});
export type TypedParam = Infer<typeof typedParam>;
export const typedParams = (max: number) => array(typedParam, max);

/** What every procedure without result answers. */
export const nothing = {};

export const MAX_DOMAINS = 16_384;
export const MAX_POOLS = 16_384;
export const MAX_VOLUMES = 16_384;
export const MAX_SNAPSHOTS = 16_384;
export const MAX_COOKIE_BYTES = 4_194_304;
export const MAX_STATS_PER_DOMAIN = 262_144;
