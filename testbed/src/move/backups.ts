// Backups made within the test's own process, and what their points show.
import { join } from 'node:path';
import {
  type BackupEnded,
  type BackupReport,
  type BackupRequest,
  type CheckedPoint,
  type Context,
  checkPoints,
  choosePoint,
  imagesOf,
  makeBackup,
  preflightBackup,
  readPoints,
} from '@blockferry/engine';
import type { Host } from '@blockferry/qemu';

export type AskBackup = Partial<BackupRequest> & Pick<BackupRequest, 'domain' | 'directory'>;

export type Backed = BackupEnded & { readonly reports: readonly BackupReport[] };

const WITHIN_MS = 90_000;

/** @throws Refusal, and whatever the backup ends with */
export async function backUp(context: Context, ask: AskBackup): Promise<Backed> {
  const { host } = context;
  if (host === undefined) throw new Error('backups need tools');
  const { record } = await preflightBackup(context, {
    disks: [],
    kind: 'full',
    copying: { flatten: false, compressed: false, verify: true },
    quiesce: 'auto',
    checkpoint: true,
    ...ask,
  });
  const reports: BackupReport[] = [];
  const signal = AbortSignal.timeout(WITHIN_MS);
  const ended = await makeBackup(context, host, record, { signal, report: (each) => reports.push(each) });
  return { ...ended, reports };
}

/** Every point of a directory, checked whole. */
export async function checkAll(host: Host, directory: string): Promise<readonly CheckedPoint[]> {
  const points = await readPoints(host, directory);
  const names = points.map(({ name }) => name);
  const options = { signal: AbortSignal.timeout(WITHIN_MS), report: () => {} };
  return checkPoints(host, directory, points, names, options);
}

/** The top image of a disk at a point. */
export async function topOf(
  host: Host,
  directory: string,
  point: string,
  disk = 'vda',
): Promise<{ readonly path: string; readonly format: 'qcow2' | 'raw' }> {
  const chain = choosePoint(await readPoints(host, directory), directory, point);
  const [{ location, format }] = imagesOf(directory, chain, disk);
  if (location.kind !== 'file') throw new Error('images of a backup are files');
  return { path: join(location.path), format: format === 'raw' ? 'raw' : 'qcow2' };
}
