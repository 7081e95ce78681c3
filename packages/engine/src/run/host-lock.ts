// A lock on a host that goes with the process that holds it: flock(1) there, held by a program that dies with us.
import { firstWords, type Host, type HostProcess } from '@blockferry/qemu';

/** What flock is to exit with (-E) when somebody else holds the lock. */
export const HELD_ELSEWHERE = 77;
/** The host has no flock. */
const UNKNOWN = 78;
/** What flock is to run: it tells us that the lock is ours, and keeps it until we are gone. */
export const SAYS_HELD = 'echo held; exec cat';

/** Seconds, for flock -w: one that was just killed lets go within a moment, on a busy host too. */
export const DIES_WITHIN_S = '5';

export interface HostLock extends Disposable {
  /** The way to the host was lost, and the lock with it. */
  readonly isLost: boolean;
}

/**
 * Takes a lock, until it is disposed of. A host without flock has none.
 *
 * @param argv takes the lock and runs SAYS_HELD in it
 * @throws what `refusal` makes when it is held elsewhere; the signal's reason; HostError
 */
export async function takeHostLock(
  host: Host,
  argv: readonly string[],
  { refusal, signal }: { readonly refusal: () => Error; readonly signal: AbortSignal },
): Promise<HostLock> {
  const holder = await host.spawn(argv, { signal });
  // How it ends is looked at below; until then nobody listens.
  holder.exited.catch(() => {});
  const lock = { isLost: false, [Symbol.dispose]: () => void holder.kill() };
  try {
    const answer = await held(holder);
    if (answer === 'elsewhere') throw refusal();
    signal.throwIfAborted();
    if (answer === 'here') void holder.exited.then(lost, lost);
    return lock;
  } catch (error) {
    lock[Symbol.dispose]();
    signal.throwIfAborted();
    throw error;
  }

  function lost(): void {
    lock.isLost = true;
  }
}

/** The user's alone, and empty after a boot. Two users are not kept apart. */
const DIRECTORY = `d=/run
[ "$(id -u)" = 0 ] || d=\${XDG_RUNTIME_DIR:-/tmp/blockferry-$(id -u)}`;

const TAKE_NAMED = `
command -v flock >/dev/null || exit 0
${DIRECTORY}
name=$1
shift
mkdir -p "$d/blockferry" && exec flock "$@" -E ${HELD_ELSEWHERE} "$d/blockferry/$name.lock" sh -c '${SAYS_HELD}'`;

/** The argv that takes a lock by its name. @param how options of flock: -n, or -w SECONDS */
export function namedLock(name: string, ...how: readonly string[]): readonly string[] {
  return ['sh', '-c', TAKE_NAMED, 'sh', name, ...how];
}

/** Shared and for an instant, so that two who ask do not find each other, and makes no file. */
const ASK = `
command -v flock >/dev/null || exit ${UNKNOWN}
[ -e "$lock" ] || exit 0
exec flock --shared -n -E ${HELD_ELSEWHERE} "$lock" true`;
const ASK_NAMED = `${DIRECTORY}
lock=$d/blockferry/$1.lock${ASK}`;

/**
 * Does somebody hold the lock of this name at this moment? By the next it may be otherwise: for people to read.
 *
 * @returns undefined: it could not be found out
 * @throws HostError
 */
export async function isNamedLockHeld(host: Host, name: string): Promise<boolean | undefined> {
  return heldBy(await host.run(['sh', '-c', ASK_NAMED, 'sh', name]));
}

/** The same of a lock that is a file of its own. @throws HostError */
export async function isFileLockHeld(host: Host, path: string): Promise<boolean | undefined> {
  return heldBy(await host.run(['sh', '-c', `lock=$1${ASK}`, 'sh', path]));
}

function heldBy({ code }: { readonly code: number | null }): boolean | undefined {
  return code === HELD_ELSEWHERE ? true : code === 0 ? false : undefined;
}

/** @returns `none`: the host knows no such locks. @throws HostError */
async function held(holder: HostProcess): Promise<'here' | 'elsewhere' | 'none'> {
  if ((await firstWords(holder)) !== undefined) return 'here';
  return (await holder.exited).code === HELD_ELSEWHERE ? 'elsewhere' : 'none';
}
