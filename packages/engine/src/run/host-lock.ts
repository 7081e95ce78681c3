// A lock on a host that goes with the process that holds it: flock(1) there, held by a program that dies with us.
import type { Host, HostProcess } from '@blockferry/qemu';
import type { Refusal } from '../model/errors.ts';

/** What flock is to exit with (-E) when somebody else holds the lock. */
export const HELD_ELSEWHERE = 77;
/** What flock is to run: it tells us that the lock is ours, and keeps it until we are gone. */
export const SAYS_HELD = 'echo held; exec cat';

/**
 * Holds a lock while `work` runs. A host without flock has none.
 *
 * @param argv takes the lock and runs SAYS_HELD in it
 * @throws what `refusal` makes when it is held elsewhere; what `work` throws
 */
export async function withHostLock<T>(
  host: Host,
  argv: readonly string[],
  { refusal, signal }: { readonly refusal: () => Refusal; readonly signal: AbortSignal },
  work: () => Promise<T>,
): Promise<T> {
  const holder = await host.spawn(argv, { signal });
  // How it ends is looked at below; until then nobody listens.
  holder.exited.catch(() => {});
  try {
    if ((await held(holder)) === 'elsewhere') throw refusal();
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
