// What a move does to the images of a disk, as far as snapshots care.
import { sameSource } from '@blockferry/libvirt';
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
  | /** What the guest sees: a mirror, or a copy through the format's driver. */ {
      readonly how: 'contents';
      readonly to: ImageRef;
    }
  | /** Its data went into the image above it; the disk has no such layer any more. */ {
      readonly how: 'dissolved';
    }
);

type Moved = Pick<MoveRecord, 'disk' | 'origin' | 'destination' | 'sources' | 'shorten'> & {
  /** With strategy `layered`: what became of each frozen layer. */
  readonly layered?: {
    readonly layers: readonly {
      readonly from: ImageRef;
      readonly to: ImageRef;
      readonly how: 'bytes' | 'contents';
    }[];
  };
};

/**
 * Of a move that has succeeded, or of one that is planned. The images that the guest has left and that have no
 * counterpart at the destination were dissolved; those that it shares from there on are not mentioned.
 */
export function imageMovesOf(move: Moved): readonly ImageMove[] {
  const { disk, origin, destination, sources, layered } = move;
  // No image goes to another place. A commit that would spoil a snapshot is refused; a pull spoils none.
  if (move.shorten !== undefined) return [];
  const layers = layered?.layers ?? [{ from: origin, to: destination, how: 'contents' as const }];
  const isMoved = ({ source }: ImageRef) => layers.some(({ from }) => sameSource(from.source, source));
  return [
    ...layers.map(({ from, to, how }): ImageMove => ({ disk, from, to, how })),
    ...sources
      .filter((image) => !isMoved(image))
      .map((from): ImageMove => ({ disk, from, how: 'dissolved' })),
  ];
}
