// Looks at both hosts: where the domain is, what it stands on there, and what of ours is left.
import {
  type Domain,
  DomainPausedReason,
  type DomainXml,
  LibvirtError,
  sameSource,
} from '@blockferry/libvirt';
import { claimOf, isSomething } from '../layered/claims.ts';
import type { Claim } from '../model/layered-world.ts';
import { type Definitions, readDefinitions } from '../observe/definitions.ts';
import { mustBePlaced } from '../observe/volumes.ts';
import { type End, endsOf, isCommitOpen } from './commit-back.ts';
import { copiesState } from './copies.ts';
import type { MigrationMemory } from './memory.ts';
import type { Pair } from './pair.ts';
import { copiesOf, type MigrationRecord, pathOf } from './record.ts';
import { lookAtStates } from './state.ts';
import { journalPath, type MigrationJournal, newest, readJournal, recordIn, wishPath } from './store.ts';
import { unseenAtHome } from './unseen.ts';
import type { AtHome, Away, MigrationWorld, On } from './world.ts';

export interface MigrationObservation {
  readonly world: MigrationWorld;
  readonly home: Definitions | undefined;
  readonly away: Definitions | undefined;
  readonly journal: MigrationJournal | undefined;
  /** The record as it stands on the hosts: another verb may have changed or ended the migration. */
  readonly stored: MigrationRecord | undefined;
}

/** VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT */
const MIGRATION_OUT = 5;

/** @throws ConnectionClosed, LibvirtError, HostError, RecordUnreadable */
export async function observeMigration(
  pair: Pair,
  known: MigrationRecord,
  memory: MigrationMemory,
): Promise<MigrationObservation> {
  const { uuid } = known.domain;
  // Before the copies' journals: one that ends while we look is seen as under way, and not begun again for nothing.
  const copying = stateOf(memory.copy);
  // Home first: where nobody migrates there, what is seen coming in after it can only be what was left behind, or new.
  const connection = await pair.home.link.connection();
  const home = await readDefinitions(connection, uuid);
  await mustBePlaced(
    connection,
    home,
    known.disks.map(({ target }) => target),
  );
  const atHome = await homeOf(home);
  const away = await readDefinitions(await pair.away.link.connection(), uuid);
  const journal = ours(await readJournal(pair, journalPath(known)), known);
  const inHome = [home?.live, home?.config].map((xml) => ownRecord(xml, known));
  const inAway = [away?.live, away?.config].map((xml) => ownRecord(xml, known));
  const stored = await asWanted(pair, newest([...inHome, ...inAway, journal?.record]));
  const record = stored ?? known;
  const isOurs = inAway.some((found) => found !== undefined);
  const awayNow = away === undefined ? 'gone' : isOurs ? await awayOf(away) : 'foreign';
  const [files, brought, copies, homeCommit, awayCommit] = await Promise.all([
    filesOf(pair, record, journal),
    lookAtStates(pair, record, journal),
    copiesState(pair, record, memory),
    isCommitOpen(pair.home, home, record, 'home'),
    isOurs && isCommitOpen(pair.away, away, record, 'away'),
  ]);
  const homeOn = placeOf(home, record, 'home');
  const world: MigrationWorld = {
    home: atHome,
    away: awayNow,
    homeOn,
    awayOn: isOurs ? placeOf(away, record, 'away') : 'none',
    recorded: recordedOf([
      // What cannot be written to now does not count.
      ...(atHome === 'migrating' ? [] : definedOf(home, inHome)),
      ...(awayNow === 'incoming' || awayNow === 'foreign' ? [] : definedOf(away, inAway)),
      journal?.record,
    ]),
    ...files,
    unseenAtHome: homeOn === 'origin' ? await unseenAtHome(pair.home, record, atHome) : 'nothing',
    copiesAway: files.copiesAway || brought.isThere,
    state: brought.state,
    copies,
    copying,
    crossing: stateOf(memory.crossing),
    relinked: memory.relinked,
    overlaysFresh: memory.overlaysFresh,
    commitOpen: { home: homeCommit, away: awayCommit },
    starts: memory.starts,
  };
  return { world, home, away, journal, stored };
}

/** Somebody may have asked for it to be taken home since that was written. */
async function asWanted(
  { away }: Pair,
  stored: MigrationRecord | undefined,
): Promise<MigrationRecord | undefined> {
  if (stored === undefined || stored.goal === 'home') return stored;
  return (await away.host.stat(wishPath(stored))) === null ? stored : { ...stored, goal: 'home' };
}

/** The records of the definitions that are there. */
function definedOf(
  definitions: Definitions | undefined,
  [live, config]: readonly (MigrationRecord | undefined)[],
): (MigrationRecord | undefined)[] {
  return [
    ...(definitions?.live === undefined ? [] : [live]),
    ...(definitions?.config === undefined ? [] : [config]),
  ];
}

function recordedOf(found: readonly (MigrationRecord | undefined)[]): MigrationWorld['recorded'] {
  const [first] = found;
  if (first === undefined) return 'not-everywhere';
  const { phase, goal } = first;
  const isSame = found.every((each) => each?.phase === phase && each.goal === goal);
  return isSame ? { phase, goal } : 'not-everywhere';
}

function ownRecord(xml: DomainXml | undefined, { id }: MigrationRecord): MigrationRecord | undefined {
  const record = recordIn(xml);
  return record?.id === id ? record : undefined;
}

function ours(journal: MigrationJournal | undefined, { id }: MigrationRecord): MigrationJournal | undefined {
  return journal?.record.id === id ? journal : undefined;
}

export async function homeOf(definitions: Definitions | undefined): Promise<AtHome> {
  if (definitions === undefined) return 'gone';
  const { domain } = definitions;
  const { state, reason } = await domain.getState();
  if (state === 'shutoff' || state === 'crashed') return 'off';
  if (await isMigrating(domain)) return 'migrating';
  if (state !== 'paused') return 'running';
  return reason === DomainPausedReason.MIGRATION ? 'stranded' : 'paused';
}

async function isMigrating(domain: Domain): Promise<boolean> {
  try {
    const { type, stats } = await domain.jobStats();
    return type !== 'none' && stats.operation === MIGRATION_OUT;
  } catch (error) {
    // Off since it was asked for its state.
    if (error instanceof LibvirtError) return false;
    throw error;
  }
}

/** libvirt says "paused for migration" until the last call of one tells that all has come (qemuMigrationDstFinish). */
export async function awayOf({ domain }: Pick<Definitions, 'domain'>): Promise<Away> {
  const { state, reason } = await domain.getState();
  if (state === 'shutoff' || state === 'crashed') return 'off';
  if (state !== 'paused') return 'running';
  const isComing = reason === DomainPausedReason.MIGRATION || reason === DomainPausedReason.STARTING_UP;
  return isComing ? 'incoming' : 'arrived';
}

/** Both definitions count: a migration ends only when they agree. */
function placeOf(definitions: Definitions | undefined, record: MigrationRecord, end: End): On {
  const found = [definitions?.live, definitions?.config].flatMap((xml) =>
    xml === undefined ? [] : record.disks.map((disk) => diskOn(xml, disk, end)),
  );
  const [first] = found;
  if (first === undefined) return 'none';
  if (found.every((each) => each === first)) return first;
  return found.every((each) => each === 'origin' || each === 'overlay') ? 'mixed' : 'elsewhere';
}

function diskOn(
  xml: DomainXml,
  disk: MigrationRecord['disks'][number],
  end: End,
): 'origin' | 'overlay' | 'elsewhere' {
  const source = xml.disk(disk.target)?.source;
  const { overlay, below } = endsOf(disk, end);
  if (source === undefined) return 'elsewhere';
  if (sameSource(source, overlay.source)) return 'overlay';
  return sameSource(source, below.source) ? 'origin' : 'elsewhere';
}

type Files = Pick<MigrationWorld, 'claims' | 'overlayAtHome' | 'overlayAway' | 'copiesAway'>;

async function filesOf(
  { home, away }: Pair,
  record: MigrationRecord,
  journal: MigrationJournal | undefined,
): Promise<Files> {
  const copies = await Promise.all(copiesOf(record).map((copy) => claimOf(away, copy, journal)));
  const claims = copies.map((claim, at): Claim => {
    const path = copiesOf(record)[at];
    const isJournaled = path !== undefined && journal?.files[pathOf(path)] !== undefined;
    // An empty file that no journal has: we died as we took it, or are yet to.
    return claim === 'claimed' && !isJournaled ? 'absent' : claim;
  });
  const isThere = async (end: End): Promise<boolean> => {
    const { host } = end === 'home' ? home : away;
    const stats = await Promise.all(record.disks.map(({ overlay }) => host.stat(pathOf(overlay[end]))));
    return stats.some((stat) => stat !== null);
  };
  return {
    claims: claims.includes('foreign') ? 'foreign' : claims.every(isSomething) ? 'all' : 'missing',
    copiesAway: copies.some(isSomething),
    overlayAtHome: await isThere('home'),
    overlayAway: await isThere('away'),
  };
}

function stateOf(
  work: { state(): 'running' | 'done' | { readonly failed: string } } | undefined,
): MigrationWorld['copying'] {
  const state = work?.state() ?? 'done';
  return state === 'done' ? 'no' : state;
}
