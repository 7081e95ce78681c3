// The images of a chain as the record and libvirt name them, with the secrets that only the definition knows.
import type { Backing, DiskDefinition, DiskSource } from '@blockferry/libvirt';
import type { ChainImage } from '@blockferry/qemu';
import type { ImageRef } from '../model/record.ts';
import { toRef } from './to-image.ts';

/** An image of the disk's chain, `depth` below the active one. @throws Refusal `unsupported-storage` */
export function refAt(
  { disk }: { readonly disk: DiskDefinition },
  { image }: ChainImage,
  depth: number,
): ImageRef {
  const ref = toRef(image);
  const encryption = disk.chain[depth]?.source.encryption;
  return encryption === undefined ? ref : { ...ref, source: { ...ref.source, encryption } };
}

/** Those whose format the header above does not declare. */
export function undeclaredIn(
  disk: { readonly disk: DiskDefinition },
  chain: readonly ChainImage[] = [],
): readonly ImageRef[] {
  return chain.flatMap((each, depth) =>
    chain[depth - 1]?.backing?.declared === false ? [refAt(disk, each, depth)] : [],
  );
}

/** A copy of an image, or one over it that holds what the guest writes: in LUKS like that one, by the same secret. */
export function lockedLike({ encryption }: Pick<DiskSource, 'encryption'>, image: ImageRef): ImageRef {
  return encryption === undefined ? image : { ...image, source: { ...image.source, encryption } };
}

/** With the same labels. Images that are below one in a chain, libvirt labels like it. */
export function labelledLike({ seclabel }: Pick<DiskSource, 'seclabel'>, image: ImageRef): ImageRef {
  return seclabel === undefined ? image : { ...image, source: { ...image.source, seclabel } };
}

/** Said whole, to its end: libvirt then looks for nothing. Top first. */
export function backingOfAll(images: readonly ImageRef[]): Backing {
  return images.reduceRight<Backing>((backing, { source, format }) => ({ source, format, backing }), 'none');
}

/**
 * What a definition must say of the images below the active one: of files nothing, for libvirt finds them by their
 * headers. These do not name the secrets of images in LUKS, and have no words for all that a definition says of a device
 * or an export.
 */
export function backingToTell(below: readonly ImageRef[]): Backing | undefined {
  const isTold = ({ source }: ImageRef) => source.encryption !== undefined || source.kind !== 'file';
  return below.some(isTold) ? backingOfAll(below) : undefined;
}

/** As the definition names them. */
export function refsOf({ chain }: Pick<DiskDefinition, 'chain'>): ImageRef[] {
  return chain.map(({ source, format }) => ({ source, format: format ?? 'raw' }));
}
