// What a guest has written and nobody has flushed yet: on its way to the storage before the guest has to wait for it.
import type { DiskSource } from '@blockferry/libvirt';
import { type Host, HostError } from '@blockferry/qemu';
import type { Millis } from '../model/units.ts';

/** What a pass as short as this leaves, as the guest writes on, is not felt. */
const SHORT_MS: Millis = 100;
/** All passes together. */
const WITHIN_MS: Millis = 30_000;

/**
 * Has the kernel write out what its page cache holds of images that a guest writes to. QEMU flushes an image when it puts an
 * overlay over it, and the guest's disk stands still for as long as that takes (blockdev.c, external_snapshot_action):
 * seconds after gigabytes that the guest did not flush. Images past the page cache, and elsewhere, have none of it.
 *
 * Best effort: what is not written out by then, QEMU writes. May be repeated. @throws HostError when the host is out of reach
 */
export async function writeOut(host: Host, sources: readonly DiskSource[]): Promise<void> {
  const paths = sources.flatMap((source) =>
    source.kind === 'file' || source.kind === 'block' ? [source.path] : [],
  );
  const until = performance.now() + WITHIN_MS;
  for (;;) {
    const began = performance.now();
    if (paths.length === 0 || began >= until) return;
    const isWritten = await flushData(host, paths, until - began);
    if (!isWritten || performance.now() - began < SHORT_MS) return;
  }
}

/** fdatasync(2) of each (coreutils' sync, 8.24). */
async function flushData(host: Host, paths: readonly string[], timeoutMs: Millis): Promise<boolean> {
  try {
    return (await host.run(['sync', '-d', '--', ...paths], { timeoutMs })).code === 0;
  } catch (error) {
    if (error instanceof HostError && error.code === 'timeout') return false;
    throw error;
  }
}
