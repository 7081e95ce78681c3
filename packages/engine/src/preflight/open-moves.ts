// A disk that is on its way already, or whose neighbour is.
import { mustNotMigrate } from '../migrate/under-way.ts';
import type { JobMode } from '../model/record.ts';
import type { Situation } from './situation.ts';
import { underWay } from './under-way.ts';

/**
 * Moves of two disks of one domain may run side by side, but not while one of them has undefined the domain: it would
 * bring back a definition in which the other disk is where it was.
 */
export function checkOpenMoves({ open, disk: { target }, definitions }: Situation, mode: JobMode): void {
  mustNotMigrate(definitions);
  const same = open.find(({ disk }) => disk === target);
  if (same !== undefined) throw underWay(same);
  const undefining = mode === 'undefine';
  const other = open.find(({ jobMode }) => undefining || jobMode === 'undefine');
  if (other !== undefined) throw underWay(other);
}
