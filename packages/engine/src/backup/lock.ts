// One blockferry at a time works in a directory of backups.
import { join } from 'node:path';
import type { Host } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import { HELD_ELSEWHERE, isFileLockHeld, SAYS_HELD, takeHostLock } from '../run/host-lock.ts';

/** Seconds: whoever asks whether the lock is held has it for an instant. */
const ASKS_WITHIN_S = '1';

export const directoryLockPath = (directory: string) => join(directory, '.blockferry-lock');

/**
 * Does a blockferry work in this directory at this moment?
 *
 * @returns undefined: it could not be found out
 * @throws HostError
 */
export async function isBackupAtWork(
  host: Host | undefined,
  { directory }: { readonly directory: string },
): Promise<boolean | undefined> {
  return host === undefined ? undefined : isFileLockHeld(host, directoryLockPath(directory));
}

/**
 * Takes the lock (flock of the file .blockferry-lock on the host) while `work` runs.
 *
 * @param wait for whoever holds it, instead of refusing
 * @throws Refusal `backup-at-work`; what `work` throws
 */
export async function withDirectoryLock<T>(
  host: Host,
  directory: string,
  { wait, signal }: { readonly wait: boolean; readonly signal: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  const path = directoryLockPath(directory);
  const how = wait ? [] : ['-w', ASKS_WITHIN_S, '-E', String(HELD_ELSEWHERE)];
  const refusal = () =>
    new Refusal(
      'backup-at-work',
      `another blockferry is at work in ${directory}`,
      { path: directory },
      'wait for it; or stop it, and go on with: blockferry resume',
    );
  const argv = ['flock', ...how, path, 'sh', '-c', SAYS_HELD];
  using _ = await takeHostLock(host, argv, { refusal, signal });
  return await work();
}
