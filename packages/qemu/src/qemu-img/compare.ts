// `qemu-img compare`: do two images show a guest the same bytes?
import type { Host } from '../host/host.ts';
import { toJsonFilename } from '../image/blockdev.ts';
import type { Image } from '../image/location.ts';
import { QemuImgError } from './errors.ts';
import { invoke, type LongOptions, longLimits, type OnProgress } from './invoke.ts';

export type Comparison =
  | { readonly same: true }
  /**
   * qemu-img's words. `offset`: the sector of 512 bytes that holds the first difference, in bytes of the guest's view;
   * null where only the sizes differ (`strict`).
   */
  | { readonly same: false; readonly detail: string; readonly offset: bigint | null };

export type CompareOptions = LongOptions & {
  /** Sizes and allocation count too. */
  readonly strict?: boolean;
  readonly onProgress?: OnProgress;
  /** Past the page cache; fails on storage that knows no direct I/O. */
  readonly direct?: boolean;
};

const SAME = 0;
const DIFFERENT = 1;

/**
 * Compares what two chains show, each given top first (an image without backing is a chain of one). Zeros equal
 * unallocated, and nothing behind the end of the shorter one, unless `strict`. Opens with `-U`, so it means something only
 * while neither changes. Reads both whole.
 *
 * @throws QemuImgError, which names the top image of the chain that could not be opened or read; HostError
 */
export async function compare(
  host: Host,
  a: readonly [Image, ...Image[]],
  b: readonly [Image, ...Image[]],
  options: CompareOptions,
): Promise<Comparison> {
  const names = [chainName(a), chainName(b)] as const;
  const args = ['-U', ...(options.strict ? ['-s'] : []), ...(options.direct ? ['-T', 'none'] : []), ...names];
  try {
    const { code, stdout } = await invoke(host, {
      verb: 'compare',
      images: [...a, ...b],
      args,
      limits: longLimits(options),
      answers: [SAME, DIFFERENT],
      onProgress: options.onProgress,
    });
    if (code === SAME) return { same: true };
    const offset = /mismatch at offset (\d+)/.exec(stdout)?.[1];
    return { same: false, detail: stdout.trim(), offset: offset === undefined ? null : BigInt(offset) };
  } catch (error) {
    if (!(error instanceof QemuImgError) || !error.stderr.includes(names[1])) throw error;
    // The second is to blame, unless both have one name.
    const { stderr } = error;
    throw names[0] === names[1] ? error : blame(b[0], stderr);
  }
}

function blame({ location }: Image, stderr: string): QemuImgError {
  return new QemuImgError({ operation: 'compare', location, stderr });
}

/** The name that opens exactly this chain, every format and backing file declared. */
export function chainName([top, ...backing]: readonly [Image, ...Image[]]): string {
  return toJsonFilename(top, { backing });
}
