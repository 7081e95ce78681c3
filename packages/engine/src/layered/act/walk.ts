// The legs of a domain that is off: qemu-img does what block jobs would, and the domain is defined on the leg's end.
import { describeSource } from '@blockferry/libvirt';
import { commit, type Image, relinkBacking, sameLocation } from '@blockferry/qemu';
import { StepFailed } from '../../model/errors.ts';
import { LEGS, type Leg } from '../../model/layered-world.ts';
import type { ImageRef } from '../../model/record.ts';
import { referenceTo, topCopy } from '../../model/rounds.ts';
import { readDefinitions } from '../../observe/definitions.ts';
import { toImage } from '../../storage/to-image.ts';
import { carryBitmaps, mergeDown } from '../bitmaps.ts';
import { imageAt, layeredPart } from '../image-at.ts';
import { keyedChain, keyedImage } from '../keys.ts';
import { defineOn } from './define-on.ts';
import { filePath, hostOf, syncFile } from './files.ts';
import type { LayeredScene } from './layered-scene.ts';
import { prepareCarrier } from './leg.ts';

/** Against storage that hangs; an overlay is small, but nothing says how small. */
const WITHIN_MS = 6 * 3600_000;

/**
 * What is done may be done again: a commit leaves its upper image as it is, and the carrier is made anew. A domain that is
 * started meanwhile is noticed, and stays where it is: then the next look finds it on the leg's start.
 */
export async function walk(scene: LayeredScene, leg: Leg): Promise<void> {
  const taken = leg === 'switch' ? await copyOverlay(scene) : await commitDown(scene, leg);
  if ((await isRunning(scene)) || (await stampOf(scene, leg)) !== taken) return;
  const { definitions } = scene.observation;
  if (definitions === undefined) await removeStart(scene, leg);
  else await defineOn(scene, imageAt(scene.move, LEGS[leg].to));
}

/** Byte for byte: what the overlay holds, over the top copy. Returns the stamp of what was copied. */
async function copyOverlay(scene: LayeredScene): Promise<string> {
  const host = hostOf(scene);
  const stamp = await stampOf(scene, 'switch');
  await prepareCarrier(scene);
  scene.memory.layered.carrierFresh = false;
  const { move } = scene;
  const [from, to] = [filePath(imageAt(move, 'overlay')), filePath(imageAt(move, 'carrier'))];
  if (from === undefined || to === undefined) throw new StepFailed('walk', 'the overlay is no file');
  const { code, stderr } = await host.run(['cp', '--sparse=always', '--', from, to], {
    timeoutMs: WITHIN_MS,
  });
  if (code !== 0) throw new StepFailed('walk', `the overlay cannot be copied: ${stderr.trim()}`);
  const below = topCopy(layeredPart(move));
  const { format } = below;
  const reference = referenceTo(below);
  await relinkBacking(host, await keyedImage(scene, imageAt(move, 'carrier')), { reference, format });
  await syncFile(host, to, WITHIN_MS);
  return stamp;
}

/**
 * Returns the stamp of what was committed, as it was right after: qemu-img keeps every QEMU out while it commits, and
 * itself writes to an image that has bitmaps.
 */
async function commitDown(scene: LayeredScene, leg: Leg): Promise<string> {
  const host = hostOf(scene);
  const images = await keyedChain(scene, imageAt(scene.move, LEGS[leg].from));
  // A commit that was killed before has left bitmaps broken.
  if (leg === 'collapse') await carryBitmaps(scene);
  const end = imageAt(scene.move, LEGS[leg].to);
  const path = filePath(end);
  const stamp = await commitThrough(scene, leg, images, end);
  // Also where there was nothing to write: by its time, the image below is known to be the newer one (doubt.ts).
  if (path !== undefined) await host.run(['touch', '-c', '--', path], { timeoutMs: 30_000 });
  return stamp;
}

/** Image by image, down to the leg's end. Returns the stamp of the first, as it was once it was committed. */
async function commitThrough(
  scene: LayeredScene,
  leg: Leg,
  chain: readonly Image[],
  end: ImageRef,
): Promise<string> {
  const last = chain.findIndex(({ location }) => sameLocation(location, toImage(end).location));
  // Before anything is written: what is below may be others' too.
  if (last < 1) throw new StepFailed('walk', `${describeSource(end.source)} is not below the overlay`);
  let stamp = '';
  for (let at = 0; at < last; at += 1) {
    const [top, below, ...rest] = chain.slice(at);
    if (top === undefined || below === undefined) break;
    await commit(hostOf(scene), [top, below, ...rest], { timeoutMs: WITHIN_MS });
    if (at === 0) stamp = await stampOf(scene, leg);
    await mergeDown(scene, top, below);
  }
  return stamp;
}

/** A transient domain is gone for good: the image it was on is done with, now that what it held is below. */
async function removeStart(scene: LayeredScene, leg: Leg): Promise<void> {
  const path = filePath(imageAt(scene.move, LEGS[leg].from));
  if (path !== undefined) await hostOf(scene).unlink(path);
}

export async function isRunning({ context, move }: Pick<LayeredScene, 'context' | 'move'>): Promise<boolean> {
  const connection = await context.link.connection();
  return (await readDefinitions(connection, move.domain.uuid))?.running ?? false;
}

/** Changes with every write to the image that the leg starts from. */
async function stampOf(scene: LayeredScene, leg: Leg): Promise<string> {
  const path = filePath(imageAt(scene.move, LEGS[leg].from));
  const stat = path === undefined ? null : await hostOf(scene).stat(path);
  return stat === null ? 'absent' : `${stat.inode} ${stat.size} ${stat.mtimeNs}`;
}
