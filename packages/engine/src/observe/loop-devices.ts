// Which file a loop device shows: whoever writes to one of the two writes to the other.
import type { Host } from '@blockferry/qemu';
import type { FileKey } from './file-key.ts';

/** By the key of the device, that of the file behind it. */
export type Loops = ReadonlyMap<FileKey, FileKey>;

const LOOP_DEVICE = /^device 7:/;

/** Asked only if one of these is a loop device. None where `losetup` cannot tell. @throws HostError */
export async function readLoops(host: Host, keys: Iterable<FileKey>): Promise<Loops> {
  if (![...keys].some((key) => LOOP_DEVICE.test(key))) return new Map();
  const { stdout } = await host.run([
    ...['losetup', '--list', '--noheadings'],
    ...['--output', 'MAJ:MIN,BACK-MAJ:MIN,BACK-INO'],
  ]);
  return parseLoops(stdout);
}

/** Pure. */
export function parseLoops(text: string): Loops {
  return new Map(
    [...text.matchAll(/(\d+:\d+)\s+(\d+):(\d+)\s+(\d+)/g)].map(
      ([, number, major = '', minor = '', inode]) => [
        `device ${number}`,
        `file ${deviceNumber(BigInt(major), BigInt(minor))}:${inode}`,
      ],
    ),
  );
}

/** As stat has it: glibc's makedev. */
function deviceNumber(major: bigint, minor: bigint): bigint {
  return ((major & ~0xfffn) << 32n) | ((major & 0xfffn) << 8n) | ((minor & ~0xffn) << 12n) | (minor & 0xffn);
}
