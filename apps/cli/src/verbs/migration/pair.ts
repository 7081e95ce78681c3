// The two hosts of a migration, from the connections that are known of them.
import {
  type Context,
  type FoundMigration,
  type MigrationRecord,
  mustBeTheHosts,
  type OneSide,
  type Pair,
  Refusal,
  readMigrationJournal,
  sideOfMigration,
} from '@blockferry/engine';
import { openSession, type Session } from '../../session.ts';

/** @throws Refusal `no-host` for a connection that carries libvirt's protocol and nothing else */
export function sideOf({ host, ...rest }: Context): OneSide {
  if (host !== undefined) return { ...rest, host };
  throw new Refusal(
    'no-host',
    `a migration runs tools on both hosts, and ${rest.link.uri} gives no way to`,
    { uri: rest.link.uri },
    'use a connection over ssh (qemu+ssh://…), or run blockferry there',
  );
}

export interface OpenPair extends AsyncDisposable {
  readonly pair: Pair;
}

/** This connection is one of the hosts; the other is where the record says, or where `peer` leads. @throws Refusal */
export async function openPair(
  session: Session,
  record: MigrationRecord,
  peer: string | undefined,
): Promise<OpenPair> {
  const here = sideOf(session.context);
  const side = (await sideOfMigration(await here.link.connection(), record)) ?? 'home';
  const other = openSession(peer ?? (side === 'home' ? record.away : record.home));
  const there = sideOf(other.context);
  const pair = side === 'home' ? { home: here, away: there } : { home: there, away: here };
  try {
    await mustBeTheHosts(pair, record);
  } catch (error) {
    await other[Symbol.asyncDispose]();
    throw error;
  }
  return { pair, [Symbol.asyncDispose]: () => other[Symbol.asyncDispose]() };
}

/** The record of what was found; of a note, from the journal that it leads to. Undefined: that has ended since. */
export async function recordOf(found: FoundMigration): Promise<MigrationRecord | undefined> {
  if (found.kind === 'record') return found.record;
  const { note } = found;
  await using there = openSession(note.away);
  const away = sideOf(there.context);
  const journal = await readMigrationJournal({ away }, note.journal);
  if (journal === undefined) await there.context.openMoves.forgetMigration(note.domain.uuid);
  return journal?.record;
}
