// Is there such an RBD image? Asked through librbd in a process of its own: librados waits 300 s for a cluster.
import { HostError } from '../host/errors.ts';
import type { Host } from '../host/host.ts';
import type { RbdLocation } from '../image/location.ts';
import { QemuImgError } from '../qemu-img/errors.ts';
import { info } from '../qemu-img/info.ts';

export type RbdLook =
  /** Bytes. */
  | { readonly kind: 'there'; readonly size: bigint }
  | { readonly kind: 'absent' }
  | { readonly kind: 'no-pool' }
  /** The cluster gave no answer in time. */
  | { readonly kind: 'hang'; readonly detail: string }
  | { readonly kind: 'error'; readonly detail: string };

/** Reads the image's header; touches nothing. @throws HostError when the host itself cannot be asked */
export async function lookAtRbd(host: Host, location: RbdLocation, timeoutMs: number): Promise<RbdLook> {
  try {
    const { virtualSize } = await info(host, { location, format: 'raw' }, { timeoutMs });
    return { kind: 'there', size: virtualSize };
  } catch (error) {
    if (error instanceof HostError && error.code === 'timeout')
      return { kind: 'hang', detail: `no answer within ${timeoutMs} ms` };
    if (error instanceof QemuImgError) return failedLook(error);
    throw error;
  }
}

/** By the words of QEMU's driver (block/rbd.c): what could not be opened is said before why. */
function failedLook({ stderr, message }: QemuImgError): RbdLook {
  if (!/No such file or directory/.test(stderr)) return { kind: 'error', detail: message };
  if (/error reading header/.test(stderr)) return { kind: 'absent' };
  if (/error opening pool/.test(stderr)) return { kind: 'no-pool' };
  return { kind: 'error', detail: message };
}
