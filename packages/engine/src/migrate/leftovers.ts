// What migrations that ended badly left at the destination: journals whose migration is open nowhere, and what they claim.
import { join } from 'node:path';
import { quoteArgument } from '@blockferry/qemu';
import { copyJournalPath } from '../layers/index.ts';
import { messageOf } from '../model/errors.ts';
import type { Millis } from '../model/units.ts';
import { type Definitions, readDefinitions } from '../observe/definitions.ts';
import { readUsage, type Usage, usesOf } from '../observe/usage.ts';
import { keep, strangerBehind, type Verdict } from '../record/verdict.ts';
import { sideOf } from './hosts.ts';
import type { OneSide, Pair } from './pair.ts';
import { copiesOf, type MigrationRecord, mayHaveRunAway, pathOf } from './record.ts';
import { removeStates, statesThere, userOf } from './state.ts';
import { type MigrationJournal, migrationJournalFor, readJournal, recordIn, wishPath } from './store.ts';
import { removeWay } from './way.ts';

/** The other host of a migration, by its URI there; what it opens is closed by the caller. */
export type Reach = (uri: string) => OneSide;

export interface MigrationLeftover {
  /** The destination, as it is reached. */
  readonly at: OneSide;
  readonly journal: string;
  /** Undefined: the journal cannot be read, so nothing of it may be removed. */
  readonly record: MigrationRecord | undefined;
  readonly verdict: Verdict;
}

/** @param target a domain (name or UUID), by our notes; or a path: a copy, its journal, or a directory of them */
export async function findMigrationLeftovers(
  here: OneSide,
  target: string,
  reach: Reach,
): Promise<MigrationLeftover[]> {
  const found: MigrationLeftover[] = [];
  for (const place of await placesOf(here, target, reach)) {
    const one = await judge(here, place, reach);
    if (one !== undefined) found.push(one);
  }
  return found;
}

/**
 * Looks once more, and removes what may be removed: what is beside the disks, copies and overlays, then the journal, then our
 * note of it. May be repeated; a crash in between leaves the journal, which leads here again.
 *
 * @returns what was removed, at the destination
 */
export async function removeMigrationLeftover(
  here: OneSide,
  { at, journal, record }: MigrationLeftover,
  reach: Reach,
): Promise<string[]> {
  const verdict = (await judge(here, { at, journal }, reach))?.verdict ?? { kind: 'keep' };
  if (record === undefined || verdict.kind === 'keep') return [];
  const removed: string[] = [];
  const remove = async (each: string): Promise<void> => {
    if (await at.host.unlink(each)) removed.push(each);
  };
  const paths = verdict.kind === 'remove-copy' ? verdict.paths : [];
  if (paths.length > 0) removed.push(...(await withoutStates(at, journal)));
  for (const each of paths.filter((path) => !record.states.some((state) => state.path === path))) {
    await remove(copyJournalPath(each));
    await remove(each);
  }
  await removeWay((await homeOf(here, record, reach)).host, at.host, record.id);
  await remove(wishPath(record));
  await remove(journal);
  const [note] = await here.openMoves.migrations(record.domain.uuid);
  if (note?.journal === journal) await here.openMoves.forgetMigration(record.domain.uuid);
  return removed;
}

async function withoutStates(at: OneSide, path: string): Promise<readonly string[]> {
  const journal = await readJournal({ away: at }, path);
  if (journal === undefined) return [];
  return removeStates(at, journal.record, journal, AbortSignal.timeout(REMOVED_WITHIN_MS));
}

/** A few small files. */
const REMOVED_WITHIN_MS: Millis = 60_000;

type Place = Pick<MigrationLeftover, 'at' | 'journal'>;

async function placesOf(here: OneSide, target: string, reach: Reach): Promise<Place[]> {
  if (!target.includes('/')) {
    const notes = await here.openMoves.migrations(target);
    return notes.map(({ away, journal }) => ({ at: away === here.link.uri ? here : reach(away), journal }));
  }
  if ((await here.host.stat(target))?.type !== 'directory') {
    return [{ at: here, journal: migrationJournalFor(target) ?? target }];
  }
  const names = (await here.host.readdir(target)).map((name) => join(target, name));
  return names
    .filter((name) => migrationJournalFor(name) === undefined)
    .map((journal) => ({ at: here, journal }));
}

async function judge(here: OneSide, place: Place, reach: Reach): Promise<MigrationLeftover | undefined> {
  let journal: MigrationJournal | undefined;
  try {
    journal = await readJournal({ away: place.at }, place.journal);
  } catch (error) {
    return { ...place, record: undefined, verdict: keep(messageOf(error)) };
  }
  if (journal === undefined) return undefined;
  const { record } = journal;
  let verdict: Verdict;
  try {
    const home = await homeOf(here, record, reach);
    verdict = await verdictOn({ home, away: place.at }, place.journal, journal);
  } catch (error) {
    const why = `whether the migration of ${record.domain.name} to ${record.away} is open cannot be seen: ${messageOf(error)}`;
    verdict = keep(why, 'if the other host is reached otherwise from here, add --peer URI');
  }
  return { ...place, record, verdict };
}

async function homeOf(here: OneSide, record: MigrationRecord, reach: Reach): Promise<OneSide> {
  const isHere = (await sideOf(await here.link.connection(), record)) === 'home';
  return isHere ? here : reach(record.home);
}

/** @throws when either host cannot be looked at */
async function verdictOn(pair: Pair, path: string, journal: MigrationJournal): Promise<Verdict> {
  const { record } = journal;
  const { name, uuid } = record.domain;
  const [home, away] = [await pair.home.link.connection(), await pair.away.link.connection()];
  const sides = [await sideOf(home, record), await sideOf(away, record)];
  if (sides[0] !== 'home' || sides[1] !== 'away') {
    return keep(`it is of a migration from ${record.home} to ${record.away}, which lead elsewhere from here`);
  }
  const [atHome, there] = [await readDefinitions(home, uuid), await readDefinitions(away, uuid)];
  if (isOpenIn(atHome, record) || isOpenIn(there, record)) {
    return keep(
      `the migration of ${name} to ${record.away} is open`,
      `go on: blockferry resume ${quoteArgument(name)}; undo: blockferry abort ${quoteArgument(name)}`,
    );
  }
  const stranger = await strangerBehind({ host: pair.away.host, path });
  if (stranger !== undefined) return keep(`its journal was written by another user (${stranger})`);
  // A journal speaks from where it was put, and from nowhere else: a copy of one claims what it never made.
  if (migrationJournalFor(pathOf(record.disks[0].layers[0].to)) !== path) {
    return keep('it does not stand beside the copy that it names');
  }
  const usage = await readUsage(
    away,
    pair.away.host,
    copiesOf(record).map(({ source }) => source),
  );
  return mayHaveRunAway(record)
    ? verdictOnArrived(usage, record)
    : verdictOnCopies(pair, journal, usage, atHome);
}

function isOpenIn(definitions: Definitions | undefined, { id }: MigrationRecord): boolean {
  return [definitions?.live, definitions?.config].some((xml) => recordIn(xml)?.id === id);
}

/** It was told to run there: what it runs on is no copy any more. */
function verdictOnArrived(usage: Usage, { disks, domain }: MigrationRecord): Verdict {
  const isUsed = disks.every(({ layers }) =>
    usesOf(usage, layers[0].to.source).some(({ uuid }) => uuid === domain.uuid),
  );
  if (isUsed) return { kind: 'remove-journal', note: `${domain.name} runs on its images` };
  return keep(`${domain.name} was told to run there, and its images may hold what it wrote`);
}

async function verdictOnCopies(
  { home, away }: Pair,
  journal: MigrationJournal,
  usage: Usage,
  atHome: Definitions | undefined,
): Promise<Verdict> {
  const { record, files } = journal;
  const { name } = record.domain;
  if (atHome === undefined) {
    return keep(`${name} is not at ${record.home} any more: the copies may be all that is left of it`);
  }
  const used = await readUsage(await home.link.connection(), home.host);
  const overlay = record.disks.find((disk) => usesOf(used, disk.overlay.home.source).length > 0);
  if (overlay !== undefined) {
    return keep(`a domain at ${record.home} still uses ${pathOf(overlay.overlay.home)}`);
  }
  const copies = copiesOf(record);
  const overlays = record.disks.map((disk) => disk.overlay.away);
  const paths: string[] = [];
  for (const image of [...overlays, ...copies]) {
    const path = pathOf(image);
    const stat = await away.host.stat(path, { followSymlinks: false });
    if (stat === null) continue;
    const claimed = files[path];
    // The names of the overlays have the migration's id in them, and are nobody else's.
    const isOurs =
      overlays.includes(image) || (claimed?.device === stat.device && claimed.inode === stat.inode);
    if (!isOurs) continue;
    const [use] = usesOf(usage, image.source);
    if (use !== undefined) {
      return keep(`${path} is used by ${use.domain} for ${use.disk} (${use.definition} definition)`);
    }
    paths.push(path);
  }
  const brought = await statesThere(away, record, journal);
  const states = record.states.filter((state) => brought.includes(state.path));
  const user = await userOf(await away.link.connection(), states, record.domain.uuid);
  if (user !== undefined) return keep(`${user.path} is used by ${user.domain}`);
  paths.push(...brought);
  if (paths.length === 0) return { kind: 'remove-journal' };
  const [unknown] = usage.unknown;
  if (unknown === undefined) return { kind: 'remove-copy', paths };
  const whose = `${unknown.disk} of ${unknown.domain}`;
  return keep(`${paths.join(', ')} may be used: the chain of ${whose} cannot be read (${unknown.why})`);
}
