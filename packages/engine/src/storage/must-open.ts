// Is a secret the right one? An image is opened with it where it is, also beside a QEMU that writes.
import { describeSource } from '@blockferry/libvirt';
import { type Host, map, QemuImgError } from '@blockferry/qemu';
import { messageOf, Refusal } from '../model/errors.ts';
import type { ImageRef } from '../model/record.ts';
import { type Secrets, secretOf, toKeyedImage } from './passphrase.ts';

/** Deriving a key takes 2 s of CPU time as images are made by default, and this machine may be busy. */
const OPENED_WITHIN_MS = 120_000;

/**
 * Has qemu-img map one sector of it. An image that is not encrypted is not looked at.
 *
 * @param whose libvirt it is that has the secret, and which passphrase it should have, in words
 * @throws Refusal `encrypted` when it does not open the image; LibvirtError when it is not told; HostError
 */
export async function mustOpen(
  host: Host,
  secrets: Secrets,
  image: ImageRef,
  { whose, right }: { readonly whose: string; readonly right: string },
): Promise<void> {
  const secret = secretOf(image.source.encryption);
  if (secret === undefined) return;
  const part = { start: 0n, length: 512n };
  try {
    await map(host, [await toKeyedImage(secrets, image)], { part, timeoutMs: OPENED_WITHIN_MS });
  } catch (error) {
    if (!(error instanceof QemuImgError)) throw error;
    throw new Refusal(
      'encrypted',
      `the secret ${secret} of ${whose} does not open ${describeSource(image.source)}: ${messageOf(error)}`,
      { secret },
      `give it ${right}: virsh secret-set-value ${secret} --plain --file PASSPHRASE`,
      { cause: error },
    );
  }
}
