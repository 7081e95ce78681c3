// Makes an image with LUKS before libvirt sees it. Done by libvirt it is done in the guest's QEMU, and the guest waits:
// deriving keys takes seconds on purpose, and fails there when the machine is busy.
import { join } from 'node:path';
import {
  type CreateOptions,
  create,
  type Host,
  type Image,
  QemuImgError,
  scratchDirectory,
} from '@blockferry/qemu';
import { messageOf, StepFailed } from '../model/errors.ts';
import { passphraseOf } from '../storage/passphrase.ts';
import { toImage } from '../storage/to-image.ts';
import { copyFile } from '../storage/whole-files.ts';
import type { Scene } from './act.ts';
import { definitionsOf } from './scene-domain.ts';

export const CREATE_WITHIN_MS = 120_000;
/** qemu-img measures how fast this machine derives keys, and gives up when others take its time. */
export const TOO_BUSY = /Unable to get accurate CPU usage/;
const MOST_TRIES = 10;

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

/**
 * As create; in LUKS, again if the machine was too busy. qemu-img removes a file that it fails to make
 * (qcow2_co_create_opts, block_crypto_co_create_opts_luks), and the next one would be another inode than the one that we
 * claimed: so it is made elsewhere, and copied into the file that is there, whose mode and owner stay too. A crash leaves an
 * empty image in the host's directory for temporary files.
 *
 * @throws as create does; FileError when it cannot be copied; HostError
 */
export async function createPatiently(
  host: Host,
  image: Image,
  virtualSize: bigint,
  options: CreateOptions & { readonly overwrite: true },
): Promise<void> {
  const { location, passphrase } = image;
  if (passphrase === undefined || location.kind !== 'file') return create(host, image, virtualSize, options);
  await using scratch = await scratchDirectory(host);
  const path = join(scratch.path, 'image');
  await createAtLast(host, { ...image, location: { kind: 'file', path } }, virtualSize, options);
  await copyFile(host, path, location.path, AbortSignal.timeout(CREATE_WITHIN_MS));
}

async function createAtLast(...args: Parameters<typeof createPatiently>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await create(...args);
    } catch (error) {
      const again = error instanceof QemuImgError && TOO_BUSY.test(error.stderr) && tries < MOST_TRIES;
      if (!again) throw error;
    }
  }
}
