// The chain of a disk as it was and as it is to be, as the record of a commit or a pull has it. Pure.
import { type DiskDefinition, sameSource } from '@blockferry/libvirt';
import type { ImageRef, MoveRecord, ShortenPart } from '../model/record.ts';
import type { Side } from '../model/world.ts';
import { refsOf } from '../storage/chain-refs.ts';

/** @throws Error for a record of another strategy */
export function shortenPart(move: MoveRecord): ShortenPart {
  if (move.shorten === undefined) throw new Error(`the record of ${move.id} shortens no chain`);
  return move.shorten;
}

/** Top first. */
export function chainOn(move: MoveRecord, side: 'origin' | 'destination'): readonly ImageRef[] {
  const { chain } = shortenPart(move);
  return side === 'origin' ? chain : chain.filter((image) => !leaves(move, image));
}

export function leaves({ sources }: Pick<MoveRecord, 'sources'>, image: ImageRef): boolean {
  return sources.some(({ source }) => sameSource(source, image.source));
}

/** The active image goes: the guest is switched to the base, which only a commit of it does. */
export function switches(move: MoveRecord): boolean {
  const [active] = shortenPart(move).chain;
  return active !== undefined && leaves(move, active);
}

/** The image above those that leave, whose header names the first of them; undefined: the definition does. */
export function imageAbove(move: MoveRecord): ImageRef | undefined {
  const { chain } = shortenPart(move);
  const first = chain.findIndex((image) => leaves(move, image));
  return chain[first - 1];
}

/** What the image above is to name; undefined: nothing, it is to stand alone. */
export function imageBelow(move: MoveRecord): ImageRef | undefined {
  const { chain } = shortenPart(move);
  return chain[chain.findLastIndex((image) => leaves(move, image)) + 1];
}

/**
 * Which of the two chains these images are, top first: by the active image and by how many there are, for of the others a
 * header may say the name in other words.
 */
export function sideOfImages(images: readonly ImageRef[], move: MoveRecord): Side {
  const [active] = images;
  if (active === undefined) return 'none';
  const side = (['origin', 'destination'] as const).find((each) => {
    const [first, ...rest] = chainOn(move, each);
    return (
      first !== undefined && sameSource(first.source, active.source) && rest.length + 1 === images.length
    );
  });
  return side ?? 'elsewhere';
}

/** Which of the two chains a live definition gives the disk. */
export function sideOfDisk(disk: DiskDefinition | undefined, move: MoveRecord): Side {
  return disk?.source === undefined ? 'none' : sideOfImages(refsOf(disk), move);
}
