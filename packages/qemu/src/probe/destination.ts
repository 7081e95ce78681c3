// Does a destination answer? Found out in processes of our own, before a guest's QEMU waits for it.
import { HostError } from '../host/errors.ts';
import type { Host } from '../host/host.ts';
import { toJsonFilename, toObjectArguments } from '../image/blockdev.ts';
import { formatLocation, type Image } from '../image/location.ts';
import { plainWords, QemuImgError } from '../qemu-img/errors.ts';
import { info } from '../qemu-img/info.ts';

export type DestinationProbe =
  /** It opened with its declared format, and the storage below served a read and a flush (a file: a write). */
  | { readonly kind: 'answers'; readonly virtualSize: bigint }
  /** Nothing within the time: QEMU would wait too, and its guest with it. */
  | { readonly kind: 'hang'; readonly detail: string }
  | { readonly kind: 'error'; readonly detail: string; readonly error?: QemuImgError };

/**
 * Tries a destination: within `timeoutMs` in all, without changing a byte of it. A server that takes one client at a
 * time hangs while QEMU has it open. Throws HostError when the host itself cannot be asked.
 */
export async function probeDestination(
  host: Host,
  image: Image,
  timeoutMs: number,
): Promise<DestinationProbe> {
  const deadline = Date.now() + timeoutMs;
  const left = () => Math.max(1, deadline - Date.now());
  try {
    const storage = await probeBytes(host, image, left());
    if (storage) return storage;
    const { virtualSize } = await info(host, image, { timeoutMs: left() });
    return { kind: 'answers', virtualSize };
  } catch (error) {
    if (error instanceof HostError && error.code === 'timeout') {
      return {
        kind: 'hang',
        detail: `${formatLocation(image.location)} did not answer within ${timeoutMs} ms`,
      };
    }
    if (error instanceof QemuImgError) return { kind: 'error', detail: error.message, error };
    throw error;
  }
}

/**
 * Does a server that answers take a second client while it has one? Asked by two connections that read one sector. Throws
 * HostError when the host itself cannot be asked.
 */
export async function takesTwoClients(
  host: Host,
  { location }: Pick<Image, 'location'>,
  timeoutMs: number,
): Promise<boolean> {
  const sector: Image = { location, format: 'raw', offset: 0n, size: 512n };
  const name = toJsonFilename(sector);
  const argv = ['qemu-img', 'compare', '-U', ...toObjectArguments(sector), name, name];
  try {
    return (await host.run(argv, { timeoutMs })).code === 0;
  } catch (error) {
    if (error instanceof HostError && error.code === 'timeout') return false;
    throw error;
  }
}

/** The storage below, whatever the format above. Null if it answers. */
async function probeBytes(host: Host, image: Image, timeoutMs: number): Promise<DestinationProbe | null> {
  const { location } = image;
  if (location.kind === 'file' || location.kind === 'block') {
    const probe = await host.probeStorage(location.path, timeoutMs);
    return probe.ok ? null : { kind: probe.why, detail: probe.detail };
  }
  // Writable, because a destination must be; a flush goes to the server and changes nothing.
  const raw: Image = { location, format: 'raw' };
  const io = ['-c', 'read 0 512', '-c', 'flush'];
  const argv = ['qemu-io', ...toObjectArguments(raw), ...io, toJsonFilename(raw)];
  const result = await host.run(argv, { timeoutMs });
  if (result.code === 0) return null;
  const detail = plainWords(result.stderr || result.stdout);
  return { kind: 'error', detail: `${formatLocation(location)}: ${detail}` };
}
