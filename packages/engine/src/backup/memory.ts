// What one process remembers of a backup between two looks. All of it may be lost without harm.
import type { Millis } from '../model/units.ts';
import type { Arrival } from './arrival.ts';
import type { BackupWorld } from './decide.ts';
import type { CopySums } from './sums/copy-sums.ts';

export interface BackupMemory {
  prepared: boolean;
  tidied: boolean;
  retries: number;
  /** When libvirt's job was last known to be ours and to run; on performance.now's clock. */
  jobSeen?: Millis;
  /** Since when it is not seen any more. */
  vanishedSince?: Millis;
  witnessed: BackupWorld['witnessed'];
  /** Of an increment: its images, held open since before the job could end. */
  arrival?: Arrival;
  /** They are on stable storage. */
  arrived: boolean;
  /** Those of the images that are copied, or were, by this process. */
  sums?: CopySums;
  /** Why the last step could not be done, where that means to go back. */
  cause?: unknown;
}

export function newBackupMemory(): BackupMemory {
  return { prepared: false, tidied: false, retries: 0, witnessed: 'nothing', arrived: false };
}
