// Names inside a directory of backups: one directory a point, its manifest, the journal of a backup under way.
import { join } from 'node:path';
import type { PointKind } from './model.ts';

export const MANIFEST = 'manifest.json';
export const DEFINITION = 'domain.xml';
export const NVRAM = 'nvram.fd';
export const TPM = 'tpm.tar';

/** In the order of time when sorted by name. */
const POINT_NAME = /^\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ-(full|incremental)$/;

/** `2026-11-28T15-00-00Z-full`: no colons, which some file systems and QEMU's own file names take for something else. */
export function pointName(time: Date, kind: PointKind): string {
  return `${time.toISOString().slice(0, 19).replaceAll(':', '-')}Z-${kind}`;
}

export function isPointName(name: string): boolean {
  return POINT_NAME.test(name);
}

/** By its name, which is all that is known of a point that cannot be read. */
export function isIncrement(name: string): boolean {
  return isPointName(name) && name.endsWith('-incremental');
}

export function pointPath(directory: string, point: string): string {
  return join(directory, point);
}

export function manifestPath(directory: string, point: string): string {
  return join(directory, point, MANIFEST);
}

/** Of the one backup that may be under way in a directory. */
export function backupJournalPath(directory: string): string {
  return join(directory, '.blockferry-backup');
}
