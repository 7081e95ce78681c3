// Bases that several disks stand on: those that a move brings and others may link to, and those it links to itself.
import { describeSource } from '@blockferry/libvirt';
import type { Host } from '@blockferry/qemu';
import { changedSinceLeft, copyJournalPath } from '../layers/index.ts';
import { StepFailed } from '../model/errors.ts';
import type { ImageRef, Layer, MoveRecord } from '../model/record.ts';
import { toImage } from '../storage/to-image.ts';
import { layeredPart } from './image-at.ts';

/** Copies that others may link to. The top one is written to, and a copy that stays is no place that moves bring bases to. */
export function basesOf(move: MoveRecord): readonly Layer[] {
  return move.copy === undefined ? layeredPart(move).layers.slice(1) : [];
}

/** What is linked to, and the image at the source that each is a copy of. */
export function sharedOf(move: MoveRecord): readonly { readonly from: ImageRef; readonly to: ImageRef }[] {
  const { layers, shared = [] } = layeredPart(move);
  return shared.map((to, at) => {
    const from = move.sources[layers.length + at];
    if (from === undefined) throw new Error('a shared base is a copy of one');
    return { from, to };
  });
}

/** @throws StepFailed when a base that the copies link to is not what it was; FileError, HostError */
export async function mustBeAsLeft(host: Host, move: MoveRecord): Promise<void> {
  for (const { to } of sharedOf(move)) {
    const { source } = to;
    if (source.kind !== 'file') throw new Error('a base that was copied is a file');
    const changed = await changedSinceLeft(host, {
      to: toImage(to),
      journal: copyJournalPath(source.path),
    });
    if (changed !== 'unknown' && changed.length === 0) continue;
    const why = changed === 'unknown' ? 'its journal is gone' : changed.join(', ');
    throw new StepFailed(
      'relink',
      `${describeSource(source)} may not be what was copied there any more (${why}): undo this move, and begin it again`,
    );
  }
}
