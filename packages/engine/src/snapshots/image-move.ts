// What a move does to the images of a disk, as far as snapshots care.
import type { ImageRef, MoveRecord } from '../model/record.ts';

export type ImageMove = {
  /** The target dev of the disk. */
  readonly disk: string;
  readonly from: ImageRef;
} & (
  | /** Byte for byte: whatever else the file holds comes along, internal snapshots above all. */ {
      readonly how: 'bytes';
      readonly to: ImageRef;
    }
  | /** What the guest sees of this layer: a mirror, or a copy through the format's driver. */ {
      readonly how: 'contents';
      readonly to: ImageRef;
    }
  | /** Its data went into the image above it; the disk has no such layer any more. */ {
      readonly how: 'dissolved';
    }
);

/** What strategy mirror does: the active image gets a new place, and in scope flatten takes those below into itself. */
export function movedByMirror(
  move: Pick<MoveRecord, 'disk' | 'origin' | 'destination' | 'sources'>,
): readonly ImageMove[] {
  const { disk } = move;
  const below = move.sources.slice(1);
  return [
    { disk, from: move.origin, how: 'contents', to: move.destination },
    ...below.map((from): ImageMove => ({ disk, from, how: 'dissolved' })),
  ];
}
