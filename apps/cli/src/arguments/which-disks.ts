// Which disks `move` and `plan` are about: DISK DEST, several DISK=DEST, or --all DIR.
import type { DiskTo } from '@blockferry/engine';
import { UsageError } from './usage-error.ts';

export type WhichDisks =
  | { readonly kind: 'one'; readonly disk: string; readonly destination: string | undefined }
  | { readonly kind: 'together'; readonly disks: readonly DiskTo[] | { readonly allTo: string } };

export interface TogetherOptions {
  readonly all?: string;
  readonly groupPause?: boolean;
}

/** A target and its destination. An image's path, which may hold `=`, begins with a slash. */
const PAIR = /^([a-z][a-z0-9]*)=(.+)$/s;

/** @throws UsageError */
export function whichDisks(words: readonly string[], { all, groupPause }: TogetherOptions): WhichDisks {
  const [first, second, ...more] = words;
  if (all !== undefined) {
    if (first === undefined) return { kind: 'together', disks: { allTo: all } };
    throw new UsageError(
      '--all names every disk, and its DIR the destination',
      `leave out: ${words.join(' ')}`,
    );
  }
  if (first === undefined) throw new UsageError('no disk was named', 'DISK DEST, DISK=DEST …, or --all DIR');
  if (PAIR.test(first)) return { kind: 'together', disks: words.map(pairOf) };
  if (groupPause)
    throw new UsageError('--group-pause is for several disks', 'DISK=DEST DISK=DEST …, or --all DIR');
  if (more.length > 0)
    throw new UsageError(`too many words: ${more.join(' ')}`, 'several disks are DISK=DEST …');
  return { kind: 'one', disk: first, destination: second };
}

/** The one disk that these words name, for what is said of the command: none where they name several. */
export function onlyDisk(words: readonly string[], { all }: TogetherOptions): string | undefined {
  const [first] = words;
  return all !== undefined || first === undefined || PAIR.test(first) ? undefined : first;
}

function pairOf(word: string): DiskTo {
  const [, disk, destination] = PAIR.exec(word) ?? [];
  if (disk !== undefined && destination !== undefined) return { disk, destination };
  throw new UsageError(`${word}: not DISK=DEST`, 'such as vda=/srv/fast/');
}
