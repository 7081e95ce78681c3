// One blockferry at a time works in a directory of backups.
import { join } from 'node:path';
import type { Host } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import { HELD_ELSEWHERE, SAYS_HELD, takeHostLock } from '../run/host-lock.ts';

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
  const path = join(directory, '.blockferry-lock');
  const how = wait ? [] : ['-n', '-E', String(HELD_ELSEWHERE)];
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
