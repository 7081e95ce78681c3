// The images of a layered move that are in LUKS, with what opens them.
import { parseDiskXml } from '@blockferry/libvirt';
import { type Image, sameLocation } from '@blockferry/qemu';
import type { LayerPlan } from '../layers/index.ts';
import type { ImageRef } from '../model/record.ts';
import { allLayers, overlaysOf } from '../model/rounds.ts';
import { refsOf } from '../storage/chain-refs.ts';
import { readMoveChain } from '../storage/move-chain.ts';
import { toKeyedImage } from '../storage/passphrase.ts';
import { toOpenableImage } from '../storage/tls-credentials.ts';
import { toImage } from '../storage/to-image.ts';
import { hostOf } from './act/files.ts';
import type { LayeredScene } from './act/layered-scene.ts';
import { imagesBelow, layeredPart } from './image-at.ts';

/** To be opened by qemu-img. An image that is not encrypted is what toImage says. @throws LibvirtError */
export async function keyedImage({ context }: Pick<LayeredScene, 'context'>, ref: ImageRef): Promise<Image> {
  if (ref.source.encryption === undefined) return toImage(ref);
  return toKeyedImage(await context.link.connection(), ref);
}

/**
 * The chain of an image, top first, as its headers tell it; over a destination that is no file, as the record does.
 *
 * @throws as readChain does; LibvirtError
 */
export async function keyedChain(scene: LayeredScene, top: ImageRef): Promise<[Image, ...Image[]]> {
  const host = hostOf(scene);
  const known = imagesBelow(scene.move, top);
  if ([top, ...known].some(({ source }) => source.kind !== 'file')) {
    const images = await Promise.all(known.map((image) => toOpenableImage(host, image)));
    return [await toOpenableImage(host, top), ...images];
  }
  const [first, ...rest] = await readMoveChain(host, scene.move, toImage(top));
  const keyed = keying(scene);
  const [head, ...below] = await Promise.all([keyed(first.image), ...rest.map(({ image }) => keyed(image))]);
  return [head, ...below];
}

/** What opens an image, if the record knows it to be encrypted. @throws LibvirtError */
function keying(scene: LayeredScene): (image: Image) => Promise<Image> {
  const locked = lockedOf(scene);
  return async (image) => {
    const ref = locked.find((each) => sameLocation(toImage(each).location, image.location));
    return ref === undefined ? image : { ...image, ...(await keyedImage(scene, ref)) };
  };
}

/** With what opens its images, which a copy of bytes does without. @throws LibvirtError */
export async function keyedPlan(scene: LayeredScene, plan: LayerPlan): Promise<LayerPlan> {
  if (plan.how === 'bytes') return plan;
  const keyed = keying(scene);
  const [from, to, ...chain] = await Promise.all([plan.from, plan.to, ...plan.chain].map(keyed));
  if (from === undefined || to === undefined) throw new Error('as many as before');
  return { ...plan, from, to, chain };
}

/** Every image that the record knows to be encrypted. */
function lockedOf({ move }: LayeredScene): ImageRef[] {
  const part = layeredPart(move);
  const copies = refsOf(parseDiskXml(move.destinationXml));
  const layers = allLayers(part).flatMap(({ from, to }) => [from, to]);
  const all = [move.origin, ...move.sources, ...overlaysOf(part), part.carrier, ...layers, ...copies];
  return all.filter(({ source }) => source.encryption !== undefined);
}
