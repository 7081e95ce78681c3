// What a copy has brought about: the images that it made, as their headers tell.
import { info } from '@blockferry/qemu';
import type { ImageRef, MoveRecord } from '../model/record.ts';
import type { Bytes } from '../model/units.ts';
import { secretOf } from '../storage/passphrase.ts';
import { toImage } from '../storage/to-image.ts';
import type { Context } from './context.ts';

export interface CopiedImage {
  readonly image: ImageRef;
  /** The image that it is a copy of. */
  readonly from: ImageRef;
  readonly path: string;
  readonly format: string;
  /** UUID of libvirt's secret that opens it; undefined: it is not in LUKS. */
  readonly secret: string | undefined;
  /** Bytes that a guest sees. */
  readonly virtualSize: Bytes;
  /** Bytes that its storage has allocated to it. */
  readonly allocated: Bytes;
  /** As its header names it; null for the base, and for one image of a whole chain. */
  readonly backing: { readonly reference: string; readonly format: string | null } | null;
}

export interface CopiedDisk {
  readonly disk: string;
  /** Top first. */
  readonly images: readonly CopiedImage[];
  /** Bytes copied, and of these read back and compared, by all runs together. Undefined unless the copy is complete. */
  readonly done: { readonly copied: Bytes; readonly verified: Bytes } | undefined;
  /** The guest's file systems were frozen for the instant; of several disks that were copied as one, said by one of them. */
  readonly quiesced: boolean;
}

/**
 * Looks at the copies of a disk whose copy has ended (outcome `copied`).
 *
 * @param move the record as it was at the end
 * @throws QemuImgError, HostError when one cannot be looked at
 */
export async function copiedDisk({ host }: Context, move: MoveRecord): Promise<CopiedDisk> {
  if (host === undefined || move.layered === undefined)
    throw new Error('copies are made by strategy layered');
  const images = await Promise.all(
    move.layered.layers.map(async ({ from, to }): Promise<CopiedImage> => {
      if (to.source.kind !== 'file') throw new Error('copies are files');
      const { virtualSize, allocated, backing } = await info(host, toImage(to));
      const { path, encryption } = to.source;
      const named = { path, format: to.format, secret: secretOf(encryption) };
      return { image: to, from, ...named, virtualSize, allocated: allocated ?? 0n, backing };
    }),
  );
  return { disk: move.disk, images, done: move.copy?.done, quiesced: move.copy?.quiesced === true };
}
