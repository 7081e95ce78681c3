// The bitmaps of checkpoints, where images change and no QEMU looks after them. A bitmap that only seems whole makes
// backups that lack data; libvirt trusts an overlay's, whatever is below it.
import { continueBitmaps, gatherBitmaps, type Image, mergeBitmaps, repairBitmaps } from '@blockferry/qemu';
import type { Layer } from '../model/record.ts';
import { readMoveChain } from '../storage/move-chain.ts';
import { toImage } from '../storage/to-image.ts';
import { hostOf } from './act/files.ts';
import type { LayeredScene } from './act/layered-scene.ts';
import { imageAt, layeredPart } from './image-at.ts';
import { keyedImage } from './keys.ts';

/**
 * Gives the copies the bitmaps of what was copied: those of a whole chain to an image of its contents; to a copy of
 * bytes, which has them, only what a tool that was killed at it left broken. When the links are written, before anything
 * is put over the copies; and again before a commit into one without QEMU, for the same reason. May be repeated.
 */
export async function carryBitmaps(scene: LayeredScene): Promise<void> {
  for (const layer of layeredPart(scene.move).layers) {
    if (layer.to.format !== 'qcow2') continue;
    // What backups of the disk go by is of no use to a copy of its contents, which nobody writes to.
    if (layer.how === 'contents' && scene.move.copy !== undefined) continue;
    if (layer.how === 'contents') await gather(scene, layer);
    else await repair(scene, layer);
  }
}

async function repair(scene: LayeredScene, { from, to }: Layer): Promise<void> {
  const [original, copy] = await Promise.all([keyedImage(scene, from), keyedImage(scene, to)]);
  await repairBitmaps(hostOf(scene), original, copy);
}

async function gather(scene: LayeredScene, { from, to }: Layer): Promise<void> {
  const host = hostOf(scene);
  const [top, ...below] = (await readMoveChain(host, scene.move, toImage(from))).map(
    ({ image }): Image => image,
  );
  if (top === undefined) return;
  const { lost } = await gatherBitmaps(host, [top, ...below], toImage(to));
  sayLost(scene, lost);
}

/** Of a domain that is off: what its next start records goes into the overlay. */
export async function bitmapsOntoOverlay(scene: LayeredScene): Promise<void> {
  const { move } = scene;
  if (move.origin.format !== 'qcow2') return;
  const overlay = await keyedImage(scene, imageAt(move, 'overlay'));
  await continueBitmaps(hostOf(scene), toImage(move.origin), overlay);
}

/** After `qemu-img commit`: what the bitmaps of the upper image recorded goes down with it. */
export async function mergeDown(
  scene: Pick<LayeredScene, 'context' | 'warn'>,
  top: Image,
  below: Image,
): Promise<void> {
  const { lost } = await mergeBitmaps(hostOf(scene), top, below);
  sayLost(scene, lost);
}

function sayLost({ warn }: Pick<LayeredScene, 'warn'>, lost: readonly string[]): void {
  if (lost.length === 0) return;
  warn(
    'bitmaps-lost',
    `what changed since ${lost.join(', ')} is no longer known, for QEMU did not end in order: the next backup must be a full one`,
  );
}
