// What a directory inside an image holds, from what guestfish prints. Pure.
import type { Bytes } from '../model/units.ts';

export type EntryType =
  | 'file'
  | 'directory'
  | 'symlink'
  | 'block'
  | 'character'
  | 'fifo'
  | 'socket'
  | 'unknown';

export interface EntryDetails {
  readonly type: EntryType;
  /** Permission bits, 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: Bytes;
  /** Milliseconds since 1970. */
  readonly modifiedMs: number;
}

export interface Entry {
  /** As text; what is not UTF-8 is replaced. */
  readonly name: string;
  /** The name's bytes in base64, where it is not UTF-8. */
  readonly rawName: string | undefined;
  /** Undefined where they were not asked for or could not be read. */
  readonly details: EntryDetails | undefined;
  /** Where a symbolic link leads, as it says. */
  readonly target: string | undefined;
}

/** S_IFMT of inode(7). */
const TYPES: ReadonlyMap<number, EntryType> = new Map([
  [0o010000, 'fifo'],
  [0o020000, 'character'],
  [0o040000, 'directory'],
  [0o060000, 'block'],
  [0o100000, 'file'],
  [0o120000, 'symlink'],
  [0o140000, 'socket'],
]);
const TYPE_MASK = 0o170000;

/** Names ended by NULs, as `ls0` gives them; in the order of their bytes. */
export function parseNames(output: Uint8Array): Buffer[] {
  const names: Buffer[] = [];
  let rest = Buffer.from(output);
  for (let at = rest.indexOf(0); at >= 0; at = rest.indexOf(0)) {
    names.push(rest.subarray(0, at));
    rest = rest.subarray(at + 1);
  }
  return names.sort(Buffer.compare);
}

/** What `statns` and `lstatns` print, `st_size: 6` a line; undefined when they printed nothing. */
export function parseDetails(text: string): EntryDetails | undefined {
  const values = new Map(
    [...text.matchAll(/^st_(\w+): (-?\d+)$/gm)].map(([, key = '', value = '0']) => [key, value]),
  );
  const mode = values.get('mode');
  if (mode === undefined) return undefined;
  const number = (key: string) => Number(values.get(key) ?? 0);
  return {
    type: TYPES.get(Number(mode) & TYPE_MASK) ?? 'unknown',
    mode: Number(mode) & 0o7777,
    uid: number('uid'),
    gid: number('gid'),
    size: BigInt(values.get('size') ?? 0) as Bytes,
    modifiedMs: number('mtime_sec') * 1000 + Math.floor(number('mtime_nsec') / 1e6),
  };
}

/** A name that may be any bytes, as text and, if that loses something, as bytes. */
export function nameOf(bytes: Buffer): Pick<Entry, 'name' | 'rawName'> {
  const name = bytes.toString('utf8');
  return { name, rawName: Buffer.from(name).equals(bytes) ? undefined : bytes.toString('base64') };
}
