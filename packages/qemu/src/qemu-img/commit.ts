// `qemu-img commit`: what an overlay holds goes into its backing file, with no QEMU running.
import type { Host } from '../host/host.ts';
import type { Image } from '../image/location.ts';
import { chainName } from './compare.ts';
import { invoke, type LongOptions, longLimits, type OnProgress } from './invoke.ts';

/**
 * Writes everything that the top of a chain holds into the image below it, and leaves the top as it is (`-d`). Both are
 * locked: refused while a QEMU has either open. After a crash the chain shows the same as before; call it again.
 */
export async function commit(
  host: Host,
  chain: readonly [Image, Image, ...Image[]],
  options: LongOptions & { readonly onProgress?: OnProgress },
): Promise<void> {
  const args = ['-d', '-t', 'none', chainName(chain)];
  const { onProgress } = options;
  await invoke(host, { verb: 'commit', images: [...chain], args, limits: longLimits(options), onProgress });
}
