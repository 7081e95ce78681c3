// The images of a layered move by the places they are.
import { parseDiskXml, sameSource } from '@blockferry/libvirt';
import type { KnownPlace } from '../model/layered-world.ts';
import type { ImageRef, LayeredPart, MoveRecord } from '../model/record.ts';
import { overlaysOf } from '../model/rounds.ts';
import { refsOf } from '../storage/chain-refs.ts';

/** @throws Error for a record without its layers */
export function layeredPart(move: MoveRecord): LayeredPart {
  if (move.layered === undefined) throw new Error(`the record of ${move.id} has no layers`);
  return move.layered;
}

export function imageAt(move: MoveRecord, place: KnownPlace): ImageRef {
  const { overlay, carrier } = layeredPart(move);
  return { origin: move.origin, overlay, carrier, destination: move.destination }[place];
}

/**
 * What is below one of the move's images, top first, with the secrets of those in LUKS. (Of a disk that is not encrypted
 * the record does not have all of it, for nobody has to be told.)
 */
export function imagesBelow(move: MoveRecord, image: ImageRef): readonly ImageRef[] {
  const part = layeredPart(move);
  // The carrier, the copies, and what is shared below them.
  const [, ...bases] = refsOf(parseDiskXml(move.destinationXml));
  const shared = move.scope === 'shallow' ? bases.slice(1) : move.sources.slice(1);
  const rounds = part.rounds?.map(({ to }) => to) ?? [];
  const ways = [
    [part.carrier, ...rounds.toReversed(), ...bases],
    [...overlaysOf(part).toReversed(), move.origin, ...shared],
  ];
  for (const way of ways) {
    const at = way.findIndex(({ source }) => sameSource(source, image.source));
    if (at !== -1) return way.slice(at + 1);
  }
  return [];
}
