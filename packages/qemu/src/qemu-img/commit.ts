// `qemu-img commit`: what an overlay holds goes into its backing file, with no QEMU running.
import type { Host } from '../host/host.ts';
import type { Image } from '../image/location.ts';
import { chainName } from './compare.ts';
import { QemuImgError } from './errors.ts';
import { invoke, type LongOptions, longLimits, type OnProgress } from './invoke.ts';

/**
 * Writes everything that the top of a chain holds into the image below it, and leaves the top as it is (`-d`). Both are
 * locked: refused while a QEMU has either open. Past the page cache where the storage knows direct I/O. After a crash the chain shows the same as before; call it again.
 *
 * @param options `bytesPerSecond`: 0n or nothing for no limit
 */
export async function commit(
  host: Host,
  chain: readonly [Image, Image, ...Image[]],
  options: LongOptions & { readonly onProgress?: OnProgress; readonly bytesPerSecond?: bigint | undefined },
): Promise<void> {
  const { onProgress, bytesPerSecond = 0n } = options;
  const limit = bytesPerSecond > 0n ? ['-r', String(bytesPerSecond)] : [];
  const by = async (cache: readonly string[]): Promise<void> => {
    const args = ['-d', ...cache, ...limit, chainName(chain)];
    await invoke(host, { verb: 'commit', images: [...chain], args, limits: longLimits(options), onProgress });
  };
  await by(['-t', 'none']).catch((error: unknown) => {
    if (!(error instanceof QemuImgError) || !error.stderr.includes('O_DIRECT')) throw error;
    return by([]);
  });
}
