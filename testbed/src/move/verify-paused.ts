// Proves that an image holds every acknowledged write while its machine still exists: paused for the look.
import type { Guest } from '../guest/guest.ts';
import { type Verification, type VerifiedImage, verifyAcknowledged } from '../guest/verify.ts';

/**
 * Suspends the guest, reads the image the guest is on, and lets it go on. QEMU flushes all images when it suspends
 * (vm_stop), so what stands in them is complete.
 * @throws {RunError}
 */
export async function verifyWhilePaused(
  guest: Guest,
  image: VerifiedImage,
  disk?: string,
): Promise<Verification> {
  await guest.host.virsh('suspend', guest.name);
  try {
    return await verifyAcknowledged(shared(image), await guest.acknowledged(disk));
  } finally {
    await guest.host.virsh('resume', guest.name);
  }
}

/** QEMU holds locks on the image of a paused machine as well. */
function shared(image: VerifiedImage): VerifiedImage {
  if ('node' in image) return { ...image, node: { ...image.node, 'force-share': true } };
  const file = { driver: 'file', filename: image.path };
  return { node: { driver: image.format, 'force-share': true, file } };
}
