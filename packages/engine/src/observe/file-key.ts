// Which file stands under a path: two names of one file (symbolic links, hard links, bind mounts) have one key.
import type { DiskSource } from '@blockferry/libvirt';
import type { FileStat, Host } from '@blockferry/qemu';

/** Device and inode of a file; of a device node, the device that it stands for. */
export type FileKey = string;

/** Far below what a kernel takes as one command. */
const PATHS_AT_ONCE = 256;
const BLOCK_DEVICE = 0x6000;
const FILE_TYPE = 0xf000;

export function pathOf(source: DiskSource): string | undefined {
  return source.kind === 'file' || source.kind === 'block' ? source.path : undefined;
}

export function fileKeyOf({ type, device, inode, rdev }: FileStat): FileKey {
  return type === 'block' ? `device ${rdev.major}:${rdev.minor}` : `file ${device}:${inode}`;
}

/**
 * The keys of all of these that are files or devices and exist, by path. One process for many.
 *
 * @throws HostError `timeout` when the storage of any of them hangs
 */
export async function fileKeys(host: Host, sources: readonly DiskSource[]): Promise<Map<string, FileKey>> {
  const paths = [...new Set(sources.map(pathOf).filter((path) => path?.startsWith('/')))];
  const keys = new Map<string, FileKey>();
  for (let at = 0; at < paths.length; at += PATHS_AT_ONCE) {
    const some = paths.slice(at, at + PATHS_AT_ONCE).filter((path) => path !== undefined);
    // It goes on after one that is missing, and then exits with 1.
    const { stdout } = await host.run(['stat', '-L', '--printf', '%f %d %i %t %T %n\\0', '--', ...some]);
    for (const line of stdout.split('\0')) {
      const [mode = '', device, inode, major = '', minor = '', ...name] = line.split(' ');
      if (name.length === 0) continue;
      const isBlock = (Number.parseInt(mode, 16) & FILE_TYPE) === BLOCK_DEVICE;
      const rdev = `${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}`;
      keys.set(name.join(' '), isBlock ? `device ${rdev}` : `file ${device}:${inode}`);
    }
  }
  return keys;
}
