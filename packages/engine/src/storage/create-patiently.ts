// Makes images, those in LUKS on a machine that is busy too.
import { join } from 'node:path';
import {
  type CreateOptions,
  create,
  type Host,
  type Image,
  QemuImgError,
  scratchDirectory,
} from '@blockferry/qemu';
import { runOn } from './whole-files.ts';

/** On a machine that is busy the deriving of keys alone took more than 30 s. */
export const CREATE_WITHIN_MS = 120_000;
/** qemu-img measures how fast this machine derives keys, and gives up when others take its time. */
export const TOO_BUSY = /Unable to get accurate CPU usage/;
const MOST_TRIES = 10;
/** Holds what says of an image that it is one, in qcow2 and LUKS. Bytes. */
const HEAD = 65_536;

/**
 * As create; in LUKS, again if the machine was too busy. qemu-img removes a file that it fails to make
 * (qcow2_co_create_opts, block_crypto_co_create_opts_luks), and the next one would be another inode than the one that we
 * claimed: so it is made elsewhere, and copied into the file that is there, whose mode and owner stay too; its head last, so that
 * a crash leaves no image in it that is torn. It leaves an empty one in the host's directory for temporary files.
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
  const patient = { timeoutMs: CREATE_WITHIN_MS, ...options };
  await using scratch = await scratchDirectory(host);
  const path = join(scratch.path, 'image');
  await createAtLast(host, { ...image, location: { kind: 'file', path } }, virtualSize, patient);
  const soon = AbortSignal.timeout(CREATE_WITHIN_MS);
  const { signal } = options;
  const until = signal === undefined ? soon : AbortSignal.any([signal, soon]);
  const copy = ['dd', `if=${path}`, `of=${location.path}`, `bs=${HEAD}`, 'status=none'];
  await runOn(host, 'copy', path, [...copy, 'skip=1', 'seek=1', 'conv=sparse'], until);
  await runOn(host, 'copy', path, [...copy, 'count=1', 'conv=notrunc'], until);
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
