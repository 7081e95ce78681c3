// Makes an image with LUKS before libvirt sees it. Done by libvirt it is done in the guest's QEMU, and the guest waits:
// deriving keys takes seconds on purpose, and fails there when the machine is busy.
import { type Host, QemuImgError } from '@blockferry/qemu';
import { messageOf, StepFailed } from '../model/errors.ts';
import { CREATE_WITHIN_MS, createPatiently } from '../storage/create-patiently.ts';
import { passphraseOf } from '../storage/passphrase.ts';
import { toImage } from '../storage/to-image.ts';
import type { Scene } from './act.ts';
import { definitionsOf } from './scene-domain.ts';

/**
 * Formats the destination, an empty file of ours, if it is to be encrypted and libvirt tells us its secret (one that is
 * private it tells nobody). May be repeated.
 *
 * @returns whether it did; otherwise libvirt makes the image
 * @throws StepFailed, HostError
 */
export async function formatEncrypted(scene: Scene, host: Host): Promise<boolean> {
  const { move, context } = scene;
  const { domain, live } = definitionsOf(scene);
  const images = live?.disk(move.disk)?.chain.length ?? 0;
  // The secrets of what a shallow copy shares stand in the live chain, and libvirt takes them from there only itself.
  if (move.scope === 'shallow' && images > 1) return false;
  const passphrase = await passphraseOf(await context.link.connection(), move.destination.source.encryption);
  if (passphrase === undefined) return false;
  const image = { ...toImage(move.destination), passphrase };
  const { capacity } = await domain.blockInfo(move.disk);
  try {
    await createPatiently(host, image, capacity, { overwrite: true, timeoutMs: CREATE_WITHIN_MS });
  } catch (error) {
    if (!(error instanceof QemuImgError)) throw error;
    throw new StepFailed('claim-destination', messageOf(error), { cause: error });
  }
  return true;
}
