// The claim on an overlay that the guest is not known to be on: blockferry, or its host, may have died in its making.
import { type Host, info, QemuImgError } from '@blockferry/qemu';
import type { Claim } from '../model/layered-world.ts';
import type { ImageRef } from '../model/record.ts';
import { isHang } from '../observe/hang.ts';
import type { Journal } from '../record/journal.ts';
import type { Context } from '../run/context.ts';
import { toImage } from '../storage/to-image.ts';
import { claimOf } from './claims.ts';

const WITHIN_MS = 30_000;

/**
 * As claimOf. One that is not made is a name that was taken, and no more: no QEMU was ever on it.
 *
 * @throws as isMade does
 */
export async function claimOfUnused(
  context: Pick<Context, 'host'>,
  overlay: ImageRef,
  journal: Pick<Journal, 'files'> | undefined,
): Promise<Claim> {
  const claim = await claimOf(context, overlay, journal);
  if (claim !== 'ours' || context.host === undefined) return claim;
  const made = await isMade(context.host, overlay);
  if (made === 'unknown') return 'unknown';
  return made ? 'ours' : 'claimed';
}

/**
 * Is it an image over another? `qemu-img create` writes what is below it after all else (qcow2_co_create), and one in LUKS gets
 * its head last (createPatiently).
 *
 * @returns `unknown` while its storage hangs
 * @throws QemuImgError where it cannot be read, which says nothing of it; HostError
 */
export async function isMade(host: Host, overlay: ImageRef): Promise<boolean | 'unknown'> {
  try {
    const { backing } = await info(host, toImage(overlay), { timeoutMs: WITHIN_MS });
    return backing !== null;
  } catch (error) {
    if (isHang(error)) return 'unknown';
    if (error instanceof QemuImgError && error.code === 'not-this-format') return false;
    throw error;
  }
}
