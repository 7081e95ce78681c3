// Removes points that nobody wants and nothing stands on.
import type { Host } from '@blockferry/qemu';
import { backupInto } from './find-backups.ts';
import { pruningPoints } from './lock.ts';
import { readPoints } from './points.ts';
import { removePoint } from './prepare.ts';
import { type Retention, type Sorted, sortPoints } from './retention.ts';
import { backupUnderWayRefusal } from './under-way.ts';

/**
 * What a prune would do. @throws Refusal `backup-under-way`, `backup-moved`, `no-backup-directory`; FileError, HostError
 */
export async function foreseePrune(host: Host, directory: string, retention: Retention): Promise<Sorted> {
  await mustRest(host, directory);
  const points = await readPoints(host, directory);
  // One that has ended since has sealed what looked unfinished; one that has begun is making what does.
  await mustRest(host, directory);
  return sortPoints(points, retention);
}

async function mustRest(host: Host, directory: string): Promise<void> {
  const open = await backupInto(host, directory);
  if (open !== undefined) throw backupUnderWayRefusal(open);
}

/**
 * Each point's manifest goes first: a crash leaves one that is none, which the next prune removes. May be repeated.
 *
 * @param removed called with the name of each
 * @throws Refusal `backup-at-work` while points are restored or checked; `not-ours`; FileError, HostError
 */
export async function prune(
  host: Host,
  directory: string,
  { remove }: Sorted,
  removed: (name: string) => void,
): Promise<void> {
  if (remove.length === 0) return;
  using _ = await pruningPoints(host, directory);
  for (const name of remove) {
    await removePoint(host, directory, name);
    removed(name);
  }
}
