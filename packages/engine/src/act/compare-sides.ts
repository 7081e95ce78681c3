// QEMU died while pivoting: are the two images the same, so that either is the truth?
import { compare, type Host, type Image, readChain } from '@blockferry/qemu';
import { toOpenableImage } from '../storage/tls-credentials.ts';
import type { Scene } from './act.ts';

/** The time limit is for a comparison that hangs; a large disk takes long. */
const COMPARE_WITHIN_MS = 6 * 3600_000;

/** Compares what a guest would read from either, the whole disk. Without a host to do it on they count as different. */
export async function compareSides(scene: Scene): Promise<void> {
  const { context, move, memory } = scene;
  if (context.host === undefined) {
    memory.sides = 'differ';
    return;
  }
  const chains = await Promise.all([
    wholeChain(context.host, await toOpenableImage(context.host, move.origin)),
    wholeChain(context.host, await toOpenableImage(context.host, move.destination)),
  ]);
  const result = await compare(context.host, ...chains, { timeoutMs: COMPARE_WITHIN_MS });
  memory.sides = result.same ? 'same' : 'differ';
}

async function wholeChain(host: Host, top: Image): Promise<[Image, ...Image[]]> {
  const [first, ...rest] = await readChain(host, top);
  return [first.image, ...rest.map(({ image }) => image)];
}
