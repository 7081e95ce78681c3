// One blockferry at a time works in a directory of backups.
import { join } from 'node:path';
import type { Host } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import { HELD_ELSEWHERE, type HostLock, isFileLockHeld, SAYS_HELD, takeHostLock } from '../run/host-lock.ts';

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

/** Of the directory itself, which makes no file there: it may be read-only. Storage that knows no such lock has none. */
const LOCK_DIRECTORY = `
command -v flock >/dev/null || exit 0
exec flock "$@" sh -c '${SAYS_HELD}'`;

/**
 * Points are read, until it is disposed of: none of them is pruned meanwhile.
 *
 * @throws Refusal `backup-at-work`; the signal's reason; HostError
 */
export function readingPoints(host: Host, directory: string, signal: AbortSignal): Promise<HostLock> {
  return lockDirectory(
    host,
    directory,
    ['--shared', '-w', PRUNED_WITHIN_S],
    `${directory} is being pruned`,
    signal,
  );
}

/** Nobody reads points meanwhile. @throws Refusal `backup-at-work`; HostError */
export function pruningPoints(host: Host, directory: string): Promise<HostLock> {
  const why = `backups in ${directory} are being restored or checked`;
  return lockDirectory(host, directory, ['-w', ASKS_WITHIN_S], why, AbortSignal.any([]));
}

/** Seconds. */
const PRUNED_WITHIN_S = '60';

function lockDirectory(
  host: Host,
  directory: string,
  how: readonly string[],
  why: string,
  signal: AbortSignal,
): Promise<HostLock> {
  const refusal = () =>
    new Refusal('backup-at-work', why, { path: directory }, 'wait for it, and do this again');
  const argv = ['sh', '-c', LOCK_DIRECTORY, 'sh', ...how, '-E', String(HELD_ELSEWHERE), directory];
  return takeHostLock(host, argv, { refusal, signal });
}
