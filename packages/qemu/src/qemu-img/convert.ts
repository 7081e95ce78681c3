// `qemu-img convert`: one image out of a whole chain.
import type { Host } from '../host/host.ts';
import { toJsonFilename } from '../image/blockdev.ts';
import type { Image } from '../image/location.ts';
import { chainName } from './compare.ts';
import { invoke, type LongOptions, longLimits, type OnProgress } from './invoke.ts';

export type ConvertOptions = LongOptions & {
  readonly onProgress?: OnProgress;
  /** Past the page cache on both sides; default true. */
  readonly direct?: boolean;
  /** The target is known to read as zeros: leave them out. */
  readonly targetIsZero?: boolean;
};

/**
 * Copies what a chain (top first) shows into an image that exists already and is at least as large: create it first.
 * Opens the source with `-U`, so the source must not change meanwhile. After a crash the target is worthless; start
 * over.
 */
export async function convert(
  host: Host,
  source: readonly [Image, ...Image[]],
  target: Image,
  options: ConvertOptions,
): Promise<void> {
  const cache = options.direct === false ? [] : ['-t', 'none', '-T', 'none'];
  const zero = options.targetIsZero ? ['--target-is-zero'] : [];
  const names = [chainName(source), toJsonFilename(target)];
  await invoke(host, {
    verb: 'convert',
    images: [source[0], ...source.slice(1), target],
    args: ['-n', '-U', '-W', '-m', '16', ...cache, ...zero, '-O', target.format, ...names],
    limits: longLimits(options),
    onProgress: options.onProgress,
  });
}
