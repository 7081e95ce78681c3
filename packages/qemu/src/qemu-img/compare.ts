// `qemu-img compare`: do two images show a guest the same bytes?
import type { Host } from '../host/host.ts';
import { toJsonFilename } from '../image/blockdev.ts';
import type { Image } from '../image/location.ts';
import { invoke, type LongOptions, longLimits, type OnProgress } from './invoke.ts';

export type Comparison =
  | { readonly same: true }
  /** qemu-img's words, with the offset of the first difference or the sizes. */
  | { readonly same: false; readonly detail: string };

const SAME = 0;
const DIFFERENT = 1;

/**
 * Compares what two chains show, each given top first (an image without backing is a chain of one). Zeros equal
 * unallocated unless `strict`. Opens with `-U`, so it means something only while neither changes. Reads both whole.
 */
export async function compare(
  host: Host,
  a: readonly [Image, ...Image[]],
  b: readonly [Image, ...Image[]],
  options: LongOptions & { readonly strict?: boolean; readonly onProgress?: OnProgress },
): Promise<Comparison> {
  const names = [chainName(a), chainName(b)];
  const { code, stdout } = await invoke(host, {
    verb: 'compare',
    images: [...a, ...b],
    args: ['-U', ...(options.strict ? ['-s'] : []), ...names],
    limits: longLimits(options),
    answers: [SAME, DIFFERENT],
    onProgress: options.onProgress,
  });
  return code === SAME ? { same: true } : { same: false, detail: stdout.trim() };
}

/** The name that opens exactly this chain, every format and backing file declared. */
export function chainName([top, ...backing]: readonly [Image, ...Image[]]): string {
  return toJsonFilename(top, { backing });
}
