// A disk that is on its way already, or whose neighbour is.
import { describeSource } from '@blockferry/libvirt';
import { Refusal } from '../model/errors.ts';
import type { JobMode, MoveRecord } from '../model/record.ts';
import type { Situation } from './situation.ts';

/**
 * Moves of two disks of one domain may run side by side, but not while one of them has undefined the domain: it would
 * bring back a definition in which the other disk is where it was.
 */
export function checkOpenMoves({ open, disk: { target } }: Situation, mode: JobMode): void {
  const same = open.find(({ disk }) => disk === target);
  if (same !== undefined) throw underWay(same);
  const undefining = mode === 'undefine';
  const other = open.find(({ jobMode }) => undefining || jobMode === 'undefine');
  if (other !== undefined) throw underWay(other);
}

export function underWay(open: MoveRecord): Refusal {
  const { name } = open.domain;
  const what = open.copy === undefined ? 'moved' : 'copied';
  // Disks that move as one are taken back together.
  const which = open.group === undefined ? `${name} ${open.disk}` : name;
  return new Refusal(
    'move-under-way',
    `${open.disk} of ${name} is being ${what} to ${describeSource(open.destination.source)} already`,
    { id: open.id },
    `continue it: blockferry resume ${name}; or undo it: blockferry abort ${which}`,
  );
}
