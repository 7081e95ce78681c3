// Rounds of a layered move: the overlay that grew while the chain was copied is frozen too, and copied on top of it.
import { toReference } from '@blockferry/qemu';
import { toImage } from '../storage/to-image.ts';
import type { ImageRef, Layer, LayeredPart, MoveRecord } from './record.ts';

/** Every layer that is copied, top first: the overlays frozen since, then the chain. */
export function allLayers({ layers, rounds = [] }: Pick<LayeredPart, 'layers' | 'rounds'>): readonly Layer[] {
  return [...rounds.toReversed(), ...layers];
}

/** Every overlay that the guest was put on, or will be next, oldest first. */
export function overlaysOf({ rounds = [], overlay, next }: LayeredPart): readonly ImageRef[] {
  return [...rounds.map(({ from }) => from), overlay, ...(next === undefined ? [] : [next])];
}

/** The overlay that the guest is to be put on, and the image that it is on until then. */
export function freezingOf({ origin, layered }: MoveRecord): { ahead: ImageRef; below: ImageRef } {
  if (layered === undefined) throw new Error('only a layered move freezes');
  const { overlay, next } = layered;
  return next === undefined ? { ahead: overlay, below: origin } : { ahead: next, below: overlay };
}

/** Every file that the move makes. */
export function filesMadeBy(part: LayeredPart): readonly ImageRef[] {
  return [...allLayers(part).map(({ to }) => to), ...overlaysOf(part), part.carrier];
}

/**
 * The two images that the guest may be on, as a person is asked about them: source and destination; while it is frozen, the
 * image it was on and its overlay; on the way back, the overlay and what is below it.
 */
export function sidesOf(move: MoveRecord): readonly [ImageRef, ImageRef] {
  const { phase, origin, destination, layered } = move;
  if (layered === undefined) return [origin, destination];
  if (phase === 'freezing' || layered.next !== undefined) {
    const { ahead, below } = freezingOf(move);
    return [below, ahead];
  }
  return phase === 'returning' ? [layered.overlay, origin] : [origin, destination];
}

/** The copy that the carrier stands on. */
export function topCopy(part: LayeredPart): ImageRef {
  return (part.rounds?.at(-1) ?? part.layers[0]).to;
}

/** The intent of one more round: the guest shall go from the overlay to another one. */
export function withNextOverlay(move: MoveRecord): MoveRecord {
  return change(move, (part) => {
    const [first] = overlaysOf(part);
    const number = (part.rounds?.length ?? 0) + 2;
    return { ...part, next: numbered(first ?? part.overlay, number) };
  });
}

/** The guest is on the next overlay: the one it left is frozen, and copied like the chain below it. */
export function onNextOverlay(move: MoveRecord): MoveRecord {
  return change(move, ({ next, ...part }) => {
    if (next === undefined) return part;
    const rounds = part.rounds ?? [];
    const below = topCopy(part);
    const backing = { reference: referenceTo(below), format: below.format };
    const to = numbered(part.carrier, rounds.length + 1);
    return { ...part, rounds: [...rounds, { from: part.overlay, to, how: 'bytes', backing }], overlay: next };
  });
}

/** The round is not to be: its overlay's name is taken. */
export function withoutNextOverlay(move: MoveRecord): MoveRecord {
  return change(move, ({ next: _, ...part }) => part);
}

function change(move: MoveRecord, by: (part: LayeredPart) => LayeredPart): MoveRecord {
  return move.layered === undefined ? move : { ...move, layered: by(move.layered) };
}

/** In LUKS if the other is, and with its labels. */
function numbered({ source, format }: ImageRef, number: number): ImageRef {
  if (source.kind !== 'file') throw new Error('a layered move makes files');
  return { source: { ...source, path: `${source.path}-${number}` }, format };
}

/** What the header of an image over this one says of it: its path, or how a destination that is no file is opened. */
export function referenceTo(image: ImageRef): string {
  return image.source.kind === 'file' ? image.source.path : toReference(toImage(image));
}
