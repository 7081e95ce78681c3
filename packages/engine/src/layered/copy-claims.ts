// Is the destination of a layered move that is no file there, and ours?
import type { Claim } from '../model/layered-world.ts';
import type { ImageRef, MoveRecord } from '../model/record.ts';
import { lookAtRbdImage } from '../observe/destination.ts';
import type { Memory } from '../observe/memory.ts';
import type { Journal } from '../record/journal.ts';
import type { Context } from '../run/context.ts';
import { claimOf } from './claims.ts';
import { wantsBack } from './decide.ts';

/**
 * Files as claimOf has them. A device or an export was there before, and nobody removes it: `unknown`. An RBD image is one
 * that we make; its cluster is asked until it was seen there, and again when it is to go.
 */
export async function claimOfCopy(
  context: Context,
  move: MoveRecord,
  copy: ImageRef,
  journal: Journal | undefined,
  memory: Memory,
): Promise<Claim> {
  const { ownership } = move;
  if (copy.source.kind !== 'network' || ownership.kind !== 'rbd-image')
    return claimOf(context, copy, journal);
  if (memory.layered.imageSeen && !wantsBack(move)) return 'ours';
  const claim = await lookAtRbdImage(context, move, ownership, memory);
  memory.layered.imageSeen = claim === 'claimed';
  return claim;
}
