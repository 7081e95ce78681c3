// The two hosts of a migration: each with its libvirt and a way to run tools.
import type { Host } from '@blockferry/qemu';
import type { Context } from '../run/context.ts';

export interface OneSide extends Context {
  readonly host: Host;
}

export interface Pair {
  /** Where the domain comes from. */
  readonly home: OneSide;
  /** Where it goes to. */
  readonly away: OneSide;
}
