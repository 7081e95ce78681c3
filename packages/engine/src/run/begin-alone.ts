// One blockferry at a time begins something on a domain. Between the last look for what is open there and the record that
// tells others of ours, libvirt has no way to say "only if nobody else has": a lock on the host does.

import { Refusal } from '../model/errors.ts';
import type { JobMode, MoveRecord } from '../model/record.ts';
import { readDefinitions } from '../observe/definitions.ts';
import { checkBeginning } from '../preflight/open-moves.ts';
import type { Context } from './context.ts';
import { COPIES_LOCK, copiesMadeBy, mustMakeAlone } from './copies-alone.ts';
import { namedLock, takeHostLock } from './host-lock.ts';

/** Whoever is ahead has written its record by then, or hangs. */
const WAIT_S = 30;
/** What is about to begin. */
export interface Beginning {
  readonly domain: { readonly name: string; readonly uuid: string };
  /** The disks that move; `all`: the domain is migrated, or backed up. */
  readonly disks: readonly { readonly disk: string; readonly jobMode: JobMode }[] | 'all';
  /** The same moves, if they make copies that moves of other domains may be about to make. */
  readonly makes?: readonly MoveRecord[];
}

/**
 * Looks once more whether something is open on the domain, and begins: `once` is called until it ends or `isRecorded`. Who
 * comes second waits for that, and is refused. A connection that gives no way to run tools has no lock, only the look; nor
 * are two users of one libvirt kept apart.
 *
 * @throws Refusal `destination-exists`, `migration-under-way`, `move-under-way`, `backup-under-way`, `domain-at-work`, with nothing touched; what `once` throws
 */
export async function beginAlone<T>(
  { link, host }: Pick<Context, 'link' | 'host'>,
  what: Beginning,
  signal: AbortSignal,
  { once, isRecorded }: { readonly once: () => Promise<T | undefined>; readonly isRecorded: () => boolean },
): Promise<T | undefined> {
  const { name, uuid } = what.domain;
  const makes = what.makes?.filter((move) => copiesMadeBy(move).length > 0) ?? [];
  let isOurs = false;
  const begin = async (): Promise<T | undefined> => {
    isOurs = true;
    const connection = await link.connection();
    const definitions = await readDefinitions(connection, uuid);
    if (definitions !== undefined) checkBeginning(definitions, what.disks);
    if (makes.length > 0) await mustMakeAlone(connection, host, makes);
    let ended: T | undefined;
    do ended = await once();
    while (ended === undefined && !isRecorded());
    return ended;
  };
  if (host === undefined) return begin();
  const refusal = () =>
    new Refusal(
      'domain-at-work',
      `another blockferry is about to begin something on ${name}, and does not come to it`,
      { domain: name },
      'see whether it hangs, or end it; then try again',
    );
  try {
    const take = (lock: string) =>
      takeHostLock(host, namedLock(lock, '-w', `${WAIT_S}`), { refusal, signal });
    using _ = await take(uuid);
    using __ = makes.length > 0 ? await take(COPIES_LOCK) : undefined;
    return await begin();
  } catch (error) {
    // Stopped before its turn had come.
    if (signal.aborted && !isOurs) return once();
    throw error;
  }
}
