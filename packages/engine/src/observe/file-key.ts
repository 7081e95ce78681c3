// Which file stands under a path: two names of one file (symbolic links, hard links, bind mounts) have one key.
import type { DiskSource } from '@blockferry/libvirt';
import { FileError, type FileStat, type Host } from '@blockferry/qemu';

/** Device and inode of a file; of a device node, the device that it stands for. */
export type FileKey = string;

export function pathOf(source: DiskSource): string | undefined {
  return source.kind === 'file' || source.kind === 'block' ? source.path : undefined;
}

export function fileKeyOf({ type, device, inode, rdev }: FileStat): FileKey {
  return type === 'block' ? `device ${rdev.major}:${rdev.minor}` : `file ${device}:${inode}`;
}

/**
 * The keys of all of these that are files or devices and exist, by path.
 *
 * @param unread is told of a name that cannot be looked at; by default that is thrown, for a name without a key stands for nothing
 * @throws HostError `timeout` when the storage of any of them hangs; FileError
 */
export async function fileKeys(
  host: Pick<Host, 'stat'>,
  sources: readonly DiskSource[],
  unread = (error: FileError): void => {
    throw error;
  },
): Promise<Map<string, FileKey>> {
  const paths = new Set(sources.map(pathOf).filter((path) => path?.startsWith('/')));
  const found = await Promise.all(
    [...paths].map(async (path = '') => {
      const stat = await host.stat(path).catch((error: unknown) => {
        if (!(error instanceof FileError)) throw error;
        unread(error);
        return null;
      });
      return stat === null ? [] : [[path, fileKeyOf(stat)] as const];
    }),
  );
  return new Map(found.flat());
}
