// All that a bench found out, as it is written to JSON.
import type { Machine } from '../measure/machine.ts';
import type { StorageLimit } from '../measure/storage-limit.ts';
import type { CaseResult } from '../result.ts';

export interface Report {
  /** Of this shape. */
  readonly version: 1;
  readonly at: string;
  readonly machine: Machine;
  readonly size: number;
  readonly repeat: number;
  readonly strategy: string;
  /** Of the guests' disks. */
  readonly cache: 'default' | 'none';
  /** Nothing else was at work when it began. */
  readonly quiet: boolean;
  readonly limit: StorageLimit | undefined;
  readonly cases: readonly CaseResult[];
}
