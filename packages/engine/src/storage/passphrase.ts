// The passphrases of images in LUKS: libvirt keeps them, and tells all that are not private.
import { type Connection, LibvirtError } from '@blockferry/libvirt';
import { type Image, Passphrase } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
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
 * connection may only look. Whoever needs it then hears why from libvirt.
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
    if (error instanceof LibvirtError) return undefined;
    throw error;
  }
}

/**
 * As toImage, with its passphrase if it is in LUKS: to be made or opened, not only looked at.
 *
 * @throws LibvirtError NO_SECRET, INVALID_SECRET (private): without the passphrase it would be made plain
 */
export async function toKeyedImage(connection: Secrets, ref: ImageRef): Promise<Image> {
  const { encryption } = ref.source;
  if (encryption === undefined) return toImage(ref);
  const uuid = secretOf(encryption);
  if (uuid === undefined) throw new Error(`an image in LUKS without the UUID of its secret: ${encryption}`);
  return withPassphrase(connection, toImage(ref), uuid);
}

/** @param whose libvirt it is, in words @throws Refusal `encrypted` when it does not tell the secret with this UUID */
export async function mustTellSecret(
  connection: Secrets,
  secret: string,
  { target, whose }: { readonly target: string; readonly whose: string },
): Promise<void> {
  try {
    await connection.secretValue(secret);
  } catch (error) {
    if (!(error instanceof LibvirtError)) throw error;
    throw new Refusal(
      'encrypted',
      `${target} is encrypted, and ${whose} does not tell the secret ${secret} that opens it: ${error.message}`,
      { secret },
      `define it with that UUID and private='no', and set its value: virsh secret-define FILE; virsh secret-set-value ${secret} --plain --file PASSPHRASE`,
      { cause: error },
    );
  }
}

/** The image as the secret with this UUID opens it. @throws LibvirtError as toKeyedImage does */
export async function withPassphrase(connection: Secrets, image: Image, uuid: string): Promise<Image> {
  return { ...image, passphrase: new Passphrase(uuid, await connection.secretValue(uuid)) };
}
