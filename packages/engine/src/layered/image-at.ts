// The images of a layered move by the places they are.
import type { KnownPlace } from '../model/layered-world.ts';
import type { ImageRef, LayeredPart, MoveRecord } from '../model/record.ts';

/** @throws Error for a record without its layers */
export function layeredPart(move: MoveRecord): LayeredPart {
  if (move.layered === undefined) throw new Error(`the record of ${move.id} has no layers`);
  return move.layered;
}

export function imageAt(move: MoveRecord, place: KnownPlace): ImageRef {
  const { overlay, carrier } = layeredPart(move);
  return { origin: move.origin, overlay, carrier, destination: move.destination }[place];
}
