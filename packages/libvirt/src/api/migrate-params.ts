// The parameters of a migration, each with the wire type that libvirt expects.

import type { TypedParam } from '../procedures/types.ts';

/** Named as in libvirt/libvirt-domain.h (VIR_MIGRATE_PARAM_*); `bandwidth` in MiB/s. */
export interface MigrateParams {
  readonly migrate_uri?: string;
  readonly destination_name?: string;
  readonly destination_xml?: string;
  readonly persistent_xml?: string;
  readonly graphics_uri?: string;
  readonly listen_address?: string;
  readonly disks_uri?: string;
  readonly 'tls.destination'?: string;
  /** Target devs of the disks to copy. */
  readonly migrate_disks?: readonly string[];
  readonly migrate_disks_detect_zeroes?: readonly string[];
  readonly migrate_disks_target_zero?: readonly string[];
  readonly compression?: readonly string[];
  readonly bandwidth?: bigint;
  readonly 'bandwidth.postcopy'?: bigint;
  readonly 'bandwidth.avail.switchover'?: bigint;
  readonly 'compression.xbzrle.cache'?: bigint;
  readonly disks_port?: number;
  readonly 'parallel.connections'?: number;
  readonly 'auto_converge.initial'?: number;
  readonly 'auto_converge.increment'?: number;
  readonly 'compression.mt.level'?: number;
  readonly 'compression.mt.threads'?: number;
  readonly 'compression.mt.dthreads'?: number;
  readonly 'compression.zlib.level'?: number;
  readonly 'compression.zstd.level'?: number;
}

/** The cookie of a phase that has no phase before it. */
export const NO_COOKIE = new Uint8Array(0);

/** Strings, 64-bit sizes (bigint) and ints are told apart by their JavaScript type; lists repeat their name. */
export function migrateParams(params: MigrateParams): TypedParam[] {
  const entries: [string, string | bigint | number | readonly string[] | undefined][] =
    Object.entries(params);
  return entries.flatMap(([field, value]): TypedParam[] => {
    switch (typeof value) {
      case 'undefined':
        return [];
      case 'string':
        return [{ field, value: { type: 'string', value } }];
      case 'bigint':
        return [{ field, value: { type: 'ullong', value } }];
      case 'number':
        return [{ field, value: { type: 'int', value } }];
      default:
        return value.map((each) => ({ field, value: { type: 'string', value: each } }));
    }
  });
}
