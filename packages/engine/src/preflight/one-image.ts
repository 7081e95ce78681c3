// Destinations that hold one image and nothing beside it, in layers: the chain becomes one image, and what else the move
// needs stands on the source side.
import { basename, dirname, join } from 'node:path';
import { describeSource } from '@blockferry/libvirt';
import { copyJournalPath } from '../layers/index.ts';
import { Refusal } from '../model/errors.ts';
import { LONGEST_NAME, nameLength } from '../model/file-names.ts';
import type { ImageRef, LayeredPart } from '../model/record.ts';
import { refAt } from '../storage/chain-refs.ts';
import type { Destination } from './destination.ts';
import type { MoveRequest } from './request.ts';
import type { Situation } from './situation.ts';

/** Is it in a place where there may be other files beside it? */
export function holdsChain({ image, ownership }: Destination): boolean {
  return image.source.kind === 'file' && ownership.kind === 'created';
}

/**
 * A volume that is a file stands in the directory of its pool, which holds a chain like any other: strategy `layered`
 * makes its files itself, and has libvirt look at the pool at the end.
 */
export function asFileOfPool(destination: Destination): Destination {
  const { image, ownership } = destination;
  if (ownership.kind !== 'volume' || image.source.kind !== 'file') return destination;
  return { ...destination, ownership: { kind: 'created', pool: ownership.pool } };
}

/** Why layers cannot go there; undefined: they can. Pure. */
export function cannotHoldLayers(
  { disk, chain }: Pick<Situation, 'disk' | 'chain'>,
  { scope }: Pick<MoveRequest, 'scope'>,
  destination: Destination,
): Refusal | undefined {
  if (holdsChain(destination)) return undefined;
  const { image, ownership } = destination;
  const name = describeSource(image.source);
  const images = chain?.length ?? disk.chain.length;
  if (scope === 'chain' && images > 1) return becomesOneImage(name, images, disk.target);
  const no = (code: string, why: string, or = '') => new Refusal(code, why, {}, `use --strategy mirror${or}`);
  if (!takesOneImage(destination)) {
    const what = ownership.kind === 'volume' ? 'a device that a pool has yet to make' : 'such a destination';
    return no('not-a-file', `strategy layered does not move to ${what}`);
  }
  if (image.format !== 'raw') {
    const why = `strategy layered writes no ${image.format} to ${name}, which is no file`;
    return no('not-raw', why, ', or --format raw');
  }
  if (scope === 'shallow' && images > 1) {
    const why = `${name} would be raw, which cannot share a backing chain`;
    return new Refusal('raw-has-no-backing', why, {}, 'use --flatten');
  }
  if (disk.encrypted || chain?.some(({ encryption }) => encryption !== null)) {
    return no('encrypted', `${disk.target} is encrypted, and strategy layered keeps that in files only`);
  }
  return undefined;
}

/** Where there is room for one image, a chain does not keep its shape. */
export function becomesOneImage(name: string, images: number, target: string): Refusal {
  return new Refusal(
    'choose-scope',
    `${name} holds one image, and the chain of ${images} images of ${target} would become one`,
    { images },
    'if that is wanted, say so: --flatten',
  );
}

function takesOneImage({ image: { source }, ownership }: Destination): boolean {
  if (source.kind === 'block') return ownership.kind === 'reused';
  if (source.kind !== 'network') return false;
  return source.protocol === 'nbd' || (source.protocol === 'rbd' && ownership.kind === 'rbd-image');
}

/** What the guest would read, through the formats of the chain, into the one image. */
export function oneLayer(situation: Situation, { image }: Destination): LayeredPart['layers'] {
  const [top] = situation.chain ?? [];
  if (top === undefined) throw new Error('a chain has an image');
  return [{ from: refAt(situation, top, 0), to: image, how: 'contents' }];
}

/** Beside the overlay, for there is no place beside the destination. @throws Refusal `bad-overlay-dir` for its name */
export function carrierBeside({ source }: ImageRef, top: string, id: string): ImageRef {
  if (source.kind !== 'file') throw new Error('an overlay is a file');
  const path = join(dirname(source.path), `${basename(top)}.${id}.carrier`);
  // With a number for a round, and the dot, suffix and temporary name of its journal.
  if (nameLength(copyJournalPath(`${path}-99`)) + 16 <= LONGEST_NAME) {
    return { source: { kind: 'file', path }, format: 'qcow2' };
  }
  const why = `the name of ${top} is too long for the files that strategy layered makes beside it`;
  throw new Refusal('bad-destination', why, {}, 'use --strategy mirror');
}
