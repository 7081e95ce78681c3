// A disk that is on its way already, or whose neighbour is.
import { mustNotBackUp } from '../backup/under-way.ts';
import { mustNotMigrate } from '../migrate/under-way.ts';
import type { JobMode, MoveRecord } from '../model/record.ts';
import type { Definitions } from '../observe/definitions.ts';
import { openMovesIn, type Situation } from './situation.ts';
import { underWay } from './under-way.ts';

/**
 * Moves of two disks of one domain may run side by side, but not while one of them has undefined the domain: it would
 * bring back a definition in which the other disk is where it was.
 */
export function checkOpenMoves({ open, disk: { target }, definitions }: Situation, mode: JobMode): void {
  mustNotMigrate(definitions);
  mustNotCollide(open, target, mode);
}

/**
 * The same by one look more, right before the first record is written.
 *
 * @param disks that are to move; `all`: the domain is to be migrated, or backed up
 * @throws Refusal `migration-under-way`, `move-under-way`, `backup-under-way`
 */
export function checkBeginning(
  definitions: Definitions,
  disks: readonly { readonly disk: string; readonly jobMode: JobMode }[] | 'all',
): void {
  mustNotMigrate(definitions);
  const open = openMovesIn(definitions);
  if (disks !== 'all') {
    for (const { disk, jobMode } of disks) mustNotCollide(open, disk, jobMode);
    return;
  }
  mustNotBackUp(definitions);
  if (open[0] !== undefined) throw underWay(open[0]);
}

function mustNotCollide(open: readonly MoveRecord[], target: string, mode: JobMode): void {
  const same = open.find(({ disk }) => disk === target);
  if (same !== undefined) throw underWay(same);
  const undefining = mode === 'undefine';
  const other = open.find(({ jobMode }) => undefining || jobMode === 'undefine');
  if (other !== undefined) throw underWay(other);
}
