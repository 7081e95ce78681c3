// The passphrases of images in LUKS: libvirt keeps them, and tells all that are not private.
import { type Connection, ErrorCode, isLibvirtError } from '@blockferry/libvirt';
import { type Image, Passphrase } from '@blockferry/qemu';
import type { ImageRef } from '../model/record.ts';
import { toImage } from './to-image.ts';

/** What is asked of a connection here. */
export type Secrets = Pick<Connection, 'secretValue'>;

/** The UUID of libvirt's secret for this <encryption>. */
export function secretOf(encryption: string | undefined): string | undefined {
  const [, , uuid] = /<secret\b[^>]*\buuid=(['"])(.*?)\1/.exec(encryption ?? '') ?? [];
  return uuid;
}

/**
 * The passphrase of this <encryption>; undefined where libvirt does not tell it: it is private or not there, or the
 * connection may only look.
 */
export async function passphraseOf(
  connection: Secrets,
  encryption: string | undefined,
): Promise<Passphrase | undefined> {
  const uuid = secretOf(encryption);
  if (uuid === undefined) return undefined;
  try {
    return new Passphrase(uuid, await connection.secretValue(uuid));
  } catch (error) {
    const codes = [ErrorCode.INVALID_SECRET, ErrorCode.NO_SECRET, ErrorCode.OPERATION_DENIED];
    if (codes.some((code) => isLibvirtError(error, code))) return undefined;
    throw error;
  }
}

/** As toImage, with its passphrase if it is in LUKS and libvirt tells it: to be opened, not only looked at. */
export async function toKeyedImage(connection: Secrets, ref: ImageRef): Promise<Image> {
  const passphrase = await passphraseOf(connection, ref.source.encryption);
  return { ...toImage(ref), ...(passphrase && { passphrase }) };
}
