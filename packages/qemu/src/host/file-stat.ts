// What `stat` of coreutils prints, as data.
import type { FileStat, FileType } from './host.ts';

/** For `stat -c`: raw mode in hex, length, blocks, block unit, mtime with nanoseconds, identity, owner, device. */
export const STAT_FORMAT = '%f %s %b %B %.9Y %i %d %u %g %t %T';

const TYPES = new Map<number, FileType>([
  [0o14, 'socket'],
  [0o12, 'symlink'],
  [0o10, 'file'],
  [0o06, 'block'],
  [0o04, 'directory'],
  [0o02, 'character'],
  [0o01, 'fifo'],
]);

/** Parses one line written with STAT_FORMAT; throws SyntaxError for anything else. */
export function parseFileStat(text: string): FileStat {
  const match =
    /^([0-9a-f]+) (\d+) (\d+) (\d+) (-?)(\d+)\.(\d{9}) (\d+) (\d+) (\d+) (\d+) ([0-9a-f]+) ([0-9a-f]+)\n$/.exec(
      text,
    );
  if (!match) throw new SyntaxError(`not the output of stat: ${text}`);
  const [, mode = '', size = '', blocks = '', unit = '', sign, seconds = '', nanos = ''] = match;
  const [inode = '', device = '', uid = '', gid = '', major = '', minor = ''] = match.slice(8);
  const raw = Number.parseInt(mode, 16);
  const type = TYPES.get(raw >> 12);
  if (!type) throw new SyntaxError(`a file of unknown type: ${text}`);
  const mtime = BigInt(seconds) * 1_000_000_000n + BigInt(nanos);
  return {
    type,
    size: BigInt(size),
    allocated: BigInt(blocks) * BigInt(unit),
    mtimeNs: sign === '-' ? -mtime : mtime,
    inode: BigInt(inode),
    device: BigInt(device),
    uid: Number(uid),
    gid: Number(gid),
    mode: raw & 0o7777,
    rdev: { major: Number.parseInt(major, 16), minor: Number.parseInt(minor, 16) },
  };
}
