// `qemu-img resize`: another virtual size for an image that is not in use.
import type { Host } from '../host/host.ts';
import type { Image } from '../image/location.ts';
import { chainName } from './compare.ts';
import { invoke, type QuickOptions, quickLimits } from './invoke.ts';

/**
 * Sets the virtual size of the top of a chain, in bytes. The chain is needed because a growing overlay must hide what
 * a longer backing file has there. Making it smaller cuts data off and needs `shrink`. Safe to repeat.
 */
export async function resize(
  host: Host,
  chain: readonly [Image, ...Image[]],
  virtualSize: bigint,
  options: QuickOptions & { readonly shrink?: boolean } = {},
): Promise<void> {
  const args = ['-q', ...(options.shrink ? ['--shrink'] : []), chainName(chain), String(virtualSize)];
  await invoke(host, { verb: 'resize', images: [...chain], args, limits: quickLimits(options) });
}
