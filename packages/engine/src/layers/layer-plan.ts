// What is to be copied, in the words of the caller.
import { basename, dirname, join } from 'node:path';
import type { Host, Image } from '@blockferry/qemu';

/** One frozen layer and its copy. */
export interface LayerPlan {
  /** Nobody writes to it: an image that is in use for writing is refused. */
  readonly from: Image;
  /**
   * A file (empty, its name claimed by the caller), device, export or RBD image that is ours alone. What it holds is
   * overwritten unless the journal knows it.
   */
  readonly to: Image;
  /**
   * `bytes`: the container byte for byte; internal snapshots, bitmaps, cluster size and LUKS headers survive.
   * `contents`: what a guest would read from `chain`, through the format drivers on both sides.
   */
  readonly how: 'bytes' | 'contents';
  /** The chain of `from`, itself first, with declared formats. Read for `contents` only. */
  readonly chain: readonly Image[];
  /**
   * The copy stands on another machine, as this file; `to` is the way to it. Its journal is on that machine too.
   * `bytes` only.
   */
  readonly away?: { readonly host: Host; readonly file: Image };
  /** Path of its copy journal on the copy's machine; see copyJournalPath. */
  readonly journal: string;
  /** For `contents` in qcow2: every cluster that is written is compressed. */
  readonly compressed?: boolean;
  /** For `contents`: options that `qemu-img create` gets (cluster_size…). The copier creates the image. */
  readonly formatOptions?: Readonly<Record<string, string | number | bigint | boolean>>;
}

/**
 * The images that are decrypted or encrypted on the way, by the passphrases that they have: QEMU derives a key, which takes
 * seconds on purpose, whenever it opens one.
 */
export function lockedImages({ how, from, to, chain }: LayerPlan): readonly Image[] {
  if (how === 'bytes') return [];
  return [from, to, ...chain].filter(({ passphrase }) => passphrase !== undefined);
}

/** The copy as its own machine has it. */
export function placeOf(
  host: Host,
  { to, away }: Pick<LayerPlan, 'to' | 'away'>,
): { readonly host: Host; readonly file: Image } {
  return away ?? { host, file: to };
}

const SUFFIX = '.blockferry-copy';

/** The copy journal's name for a destination file: `/dir/copy.qcow2` has `/dir/.copy.qcow2.blockferry-copy`. */
export function copyJournalPath(destination: string): string {
  return join(dirname(destination), `.${basename(destination)}${SUFFIX}`);
}

/** The destination that a copy journal of this name belongs to; undefined if it is no copy journal's name. */
export function destinationOfCopyJournal(path: string): string | undefined {
  const name = basename(path);
  if (!name.startsWith('.') || !name.endsWith(SUFFIX) || name.length <= SUFFIX.length + 1) return undefined;
  return join(dirname(path), name.slice(1, -SUFFIX.length));
}
