// The images of backups that are in LUKS: they are stored as they are, and opened by a secret that libvirt keeps.
import { join } from 'node:path';
import type { Image } from '@blockferry/qemu';
import type { ImageRef } from '../model/record.ts';
import { type Secrets, secretOf, withPassphrase } from '../storage/passphrase.ts';
import { toImage } from '../storage/to-image.ts';
import type { StoredImage } from './model.ts';

/** Its header can be read without a secret; its contents, and its own metadata, cannot. */
export interface LockableImage extends Image {
  /** UUID of libvirt's secret that opens it. */
  readonly secret?: string;
}

/** An image in the directory of a point. Pure. */
export function storedImage(point: string, stored: StoredImage): LockableImage {
  const { secret } = stored;
  return { ...toImage(refOf(point, stored)), ...(secret !== undefined && { secret }) };
}

/** The same, as libvirt names it. Pure. */
export function refOf(point: string, { path, format, secret }: StoredImage): ImageRef {
  const encryption = secret !== undefined && { encryption: encryptionBy(secret) };
  return { source: { kind: 'file', path: join(point, path), ...encryption }, format };
}

/** The <encryption> of an image in LUKS (libvirt, formatstorageencryption). Pure. */
export function encryptionBy(secret: string): string {
  return `<encryption format='luks'><secret type='passphrase' uuid='${secret}'/></encryption>`;
}

/** What the manifest says of an image with this <encryption>. Pure. */
export function secretPart(encryption: string | undefined): Pick<StoredImage, 'secret'> {
  const secret = secretOf(encryption);
  return secret === undefined ? {} : { secret };
}

/** To be opened. libvirt is asked only about what is in LUKS. @throws LibvirtError NO_SECRET, INVALID_SECRET */
export async function keyed(connection: () => Promise<Secrets>, image: LockableImage): Promise<Image> {
  return image.secret === undefined ? image : withPassphrase(await connection(), image, image.secret);
}
