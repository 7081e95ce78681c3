// One blockferry at a time works in a directory of backups: a lock that goes with the process that holds it.
import { join } from 'node:path';
import type { Host, HostProcess } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';

const HELD_ELSEWHERE = 77;
const SAYS_HELD = 'echo held; exec cat';

/**
 * Takes the lock (flock of the file .blockferry-lock on the host, held by a program that dies with us) while `work` runs.
 * A host without flock has none.
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
  const holder = await host.spawn(['flock', ...how, path, 'sh', '-c', SAYS_HELD], { signal });
  // How it ends is looked at below; until then nobody listens.
  holder.exited.catch(() => {});
  try {
    if ((await held(holder)) === 'elsewhere') {
      throw new Refusal(
        'backup-at-work',
        `another blockferry is at work in ${directory}`,
        { path: directory },
        'wait for it; or stop it, and go on with: blockferry resume',
      );
    }
    signal.throwIfAborted();
    return await work();
  } finally {
    holder.kill();
  }
}

async function held({ stdout, exited }: HostProcess): Promise<'here' | 'elsewhere'> {
  const said = new Promise<'said'>((resolve) => stdout.once('data', () => resolve('said')));
  const over = exited.catch(() => ({ code: 0 }));
  const first = await Promise.race([said, over]);
  return first !== 'said' && first.code === HELD_ELSEWHERE ? 'elsewhere' : 'here';
}
