// The images of a layered move that are in LUKS, with what opens them.
import { parseDiskXml } from '@blockferry/libvirt';
import { type Image, readChain, sameLocation } from '@blockferry/qemu';
import type { ImageRef } from '../model/record.ts';
import { allLayers, overlaysOf } from '../model/rounds.ts';
import { refsOf } from '../storage/chain-refs.ts';
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
  const [first, ...rest] = await readChain(host, toImage(top));
  const locked = lockedOf(scene);
  const keyed = async (image: Image): Promise<Image> => {
    const ref = locked.find((each) => sameLocation(toImage(each).location, image.location));
    return ref === undefined ? image : { ...image, ...(await keyedImage(scene, ref)) };
  };
  const [head, ...below] = await Promise.all([keyed(first.image), ...rest.map(({ image }) => keyed(image))]);
  return [head, ...below];
}

/** Every image that the record knows to be encrypted. */
function lockedOf({ move }: LayeredScene): ImageRef[] {
  const part = layeredPart(move);
  const copies = refsOf(parseDiskXml(move.destinationXml));
  const layers = allLayers(part).flatMap(({ from, to }) => [from, to]);
  const all = [move.origin, ...move.sources, ...overlaysOf(part), part.carrier, ...layers, ...copies];
  return all.filter(({ source }) => source.encryption !== undefined);
}
