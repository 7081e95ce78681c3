// Finds the moves that have not ended: in the definitions of a domain, in journals, and in our own notes.
import type { Connection } from '@blockferry/libvirt';
import { quoteArgument } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import { type MoveRecord, newest } from '../model/record.ts';
import { readDefinitions } from '../observe/definitions.ts';
import { ofEveryDomain } from '../observe/every-domain.ts';
import { findDomain } from '../preflight/situation.ts';
import { type Journal, type JournalPlace, journalPathFor, readJournal } from '../record/journal.ts';
import { readMetadata } from '../record/metadata.ts';
import { RecordUnreadable } from '../record/serialise.ts';
import type { Context } from './context.ts';

/**
 * The open moves of one domain: by its metadata, by the journal beside a mirror that runs (when the domain was
 * defined anew and its record wiped), and by our notes (when the domain is gone).
 *
 * @param name name or UUID; a domain that is gone is found by our notes
 * @throws Refusal `no-such-domain` if there is neither a domain nor a note of that name
 */
export async function findMoves(context: Context, name: string): Promise<MoveRecord[]> {
  const connection = await context.link.connection();
  const found = new Map<string, MoveRecord>();
  const note = (record: MoveRecord | undefined) =>
    record && found.set(record.id, found.get(record.id) ?? record);
  const uuid = await findDomain(connection, name).then(
    (domain) => domain.uuid,
    (error: unknown) => {
      if (error instanceof Refusal) return error;
      throw error;
    },
  );
  if (typeof uuid === 'string') for (const record of await inDomain(context, connection, uuid)) note(record);
  for (const place of await context.openMoves.journals(
    typeof uuid === 'string' ? uuid : name,
    context.host,
  )) {
    const journal = await readable(place);
    // Of a domain that is gone the note stays: the file system that holds its journal may just not be mounted.
    const ended = journal === 'none' && found.size === 0 && typeof uuid === 'string';
    if (ended) await context.openMoves.forgetEnded(place, context.link.uri);
    else note(recordIn(journal));
  }
  if (uuid instanceof Refusal && found.size === 0) throw await orMigrated(context, name, uuid);
  return [...found.values()];
}

/** Where it has gone says more than that it is not here. */
async function orMigrated({ openMoves, link }: Context, name: string, missing: Refusal): Promise<Refusal> {
  const left = await openMoves.leftLast(name, link.uri);
  if (left === undefined) return missing;
  const { code, message, facts } = missing;
  const there = `blockferry -c ${quoteArgument(left.away)} status ${quoteArgument(name)}`;
  const hint = `it was migrated from here at ${left.time}: ${there}`;
  return new Refusal(code, message, { ...facts, away: left.away }, hint, { cause: missing });
}

async function inDomain(context: Context, connection: Connection, uuid: string): Promise<MoveRecord[]> {
  const definitions = await readDefinitions(connection, uuid);
  const records: MoveRecord[] = [];
  const disks = new Set(
    [definitions?.live, definitions?.config].flatMap((xml) => xml?.disks().map((d) => d.target) ?? []),
  );
  for (const disk of disks) {
    const places = [definitions?.live, definitions?.config];
    const stored = newest(places.map((xml) => xml && readMetadata(xml, disk)?.record));
    if (stored !== undefined) records.push(stored);
    const mirror = definitions?.live?.disk(disk)?.mirror?.source;
    if (stored !== undefined || mirror?.kind !== 'file' || context.host === undefined) continue;
    const journal = await readable({ host: context.host, path: journalPathFor(mirror.path) });
    records.push(...[recordIn(journal)].filter((record) => record !== undefined));
  }
  return records;
}

/** A journal of another version, or spoilt by a hand, hides no other move; `cleanup` says what is wrong with it. */
async function readable(place: JournalPlace): Promise<Journal | 'none' | 'unreadable'> {
  try {
    return (await readJournal(place)) ?? 'none';
  } catch (error) {
    if (error instanceof RecordUnreadable) return 'unreadable';
    throw error;
  }
}

function recordIn(journal: Awaited<ReturnType<typeof readable>>): MoveRecord | undefined {
  return typeof journal === 'object' ? journal.record : undefined;
}

export interface AllMoves {
  readonly moves: readonly MoveRecord[];
  /** One for each domain whose records cannot all be read: that hides none of the others'. */
  readonly unreadable: readonly RecordUnreadable[];
}

/** The open moves of every domain of the connection, and of those that are gone. */
export async function findAllMoves(context: Context): Promise<AllMoves> {
  const connection = await context.link.connection();
  const found = new Map<string, MoveRecord>();
  const unreadable: RecordUnreadable[] = [];
  const records = await ofEveryDomain(connection, async ({ uuid }) => {
    try {
      return await inDomain(context, connection, uuid);
    } catch (error) {
      if (!(error instanceof RecordUnreadable)) throw error;
      unreadable.push(error);
      return [];
    }
  });
  for (const record of records.flat()) found.set(record.id, record);
  for (const place of await context.openMoves.journals(undefined, context.host)) {
    const record = recordIn(await readable(place));
    if (record !== undefined && !found.has(record.id)) found.set(record.id, record);
  }
  return { moves: [...found.values()], unreadable };
}

/** Open moves, those of a group together and in its order. */
export function togetherWith(
  moves: readonly MoveRecord[],
): readonly (readonly [MoveRecord, ...MoveRecord[]])[] {
  const sets = new Map<string, [MoveRecord, ...MoveRecord[]]>();
  for (const move of moves) {
    const key = move.group === undefined ? `alone ${move.id}` : `group ${move.group.id}`;
    const others = sets.get(key);
    if (others === undefined) sets.set(key, [move]);
    else others.push(move);
  }
  const orderOf = ({ group, disk }: MoveRecord) => group?.disks.indexOf(disk) ?? 0;
  for (const set of sets.values()) set.sort((one, other) => orderOf(one) - orderOf(other));
  return [...sets.values()];
}
