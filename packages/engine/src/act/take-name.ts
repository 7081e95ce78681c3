// Takes the name of a file that is to be written, before anything is.
import { FileError, type Host } from '@blockferry/qemu';
import type { FileIdentity } from '../record/journal.ts';
import { type FileLook, giveTo } from './claim-destination.ts';

/**
 * Makes an empty file of that name. A crash right afterwards leaves an empty one, which is taken the next time.
 *
 * @param failed the error of the step, from what happened
 * @throws what `failed` returns, when somebody else's file stands there; FileError
 */
export async function takeName(
  host: Host,
  path: string,
  { mode, owner }: FileLook,
  failed: (message: string, options?: ErrorOptions) => Error,
): Promise<FileIdentity> {
  try {
    await host.createExclusive(path, { mode });
  } catch (error) {
    if (!(error instanceof FileError) || error.code !== 'EEXIST') throw error;
    const there = await host.stat(path);
    const isEmpty = there?.type === 'file' && there.size === 0n;
    if (!isEmpty) throw failed(`${path} appeared meanwhile and is not ours`, { cause: error });
  }
  if (owner !== undefined) await giveTo(host, path, owner);
  const stat = await host.stat(path);
  if (stat === null) throw failed(`${path} vanished as soon as it was made`);
  return { device: stat.device, inode: stat.inode };
}
