// QEMU died while pivoting: are the two images the same, so that either is the truth?
import { type ChainImage, compare, type Image } from '@blockferry/qemu';
import type { Seen } from '../observe/seen.ts';
import { readMoveChain } from '../storage/move-chain.ts';
import { toOpenableImage } from '../storage/tls-credentials.ts';
import type { Scene } from './act.ts';

/** The time limit is for a comparison that hangs; a large disk takes long. */
const COMPARE_WITHIN_MS = 6 * 3600_000;

/**
 * Compares what a guest would read from either, the whole disk. Without a host to do it on they count as different, and
 * so do encrypted ones: their secrets are libvirt's.
 */
export async function compareSides(scene: Scene<Seen>): Promise<void> {
  const { context, move, memory } = scene;
  if (context.host === undefined) {
    memory.sides = 'differ';
    return;
  }
  const chains = await Promise.all([
    readMoveChain(context.host, move, await toOpenableImage(context.host, move.origin)),
    readMoveChain(context.host, move, await toOpenableImage(context.host, move.destination)),
  ]);
  if (chains.flat().some(({ encryption }) => encryption !== null)) {
    memory.sides = 'differ';
    return;
  }
  const [origin, destination] = chains;
  const limits = { timeoutMs: COMPARE_WITHIN_MS };
  const result = await compare(context.host, imagesOf(origin), imagesOf(destination), limits);
  memory.sides = result.same ? 'same' : 'differ';
}

function imagesOf([first, ...rest]: readonly [ChainImage, ...ChainImage[]]): [Image, ...Image[]] {
  return [first.image, ...rest.map(({ image }) => image)];
}
