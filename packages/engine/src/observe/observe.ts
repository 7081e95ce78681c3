// Looks at the host: everything `decide` needs, nothing remembered but what `Memory` says.
import { ErrorCode, isLibvirtError } from '@blockferry/libvirt';
import { type MoveRecord, mayHavePivoted, newest } from '../model/record.ts';
import type { Job, Side, Stamp, World } from '../model/world.ts';
import { type Journal, readJournal, type SavedDefinition } from '../record/journal.ts';
import { readMetadata, type StoredRecord } from '../record/metadata.ts';
import { type Context, journalPlace } from '../run/context.ts';
import { type Definitions, jobOf, readDefinitions, sideOf } from './definitions.ts';
import { askDestination, lookAtDestination } from './destination.ts';
import { isHang } from './hang.ts';
import type { Memory } from './memory.ts';
import { whereQemuWrites } from './qemu-writes.ts';

/** For so long libvirt may contradict itself: between two answers, a job may have begun or ended. */
const CONTRADICTS_FOR_MS = 3_000;

export interface Observation {
  readonly world: World;
  readonly definitions: Definitions | undefined;
  readonly journal: Journal | undefined;
  /** The definition kept aside, wherever it was found. */
  readonly saved: SavedDefinition | undefined;
  /** The record as it stands on the host: another verb may have changed or ended the move. */
  readonly stored: MoveRecord | undefined;
}

/** Takes one look. @throws ConnectionClosed, LibvirtError, HostError, RecordUnreadable */
export async function observe(context: Context, move: MoveRecord, memory: Memory): Promise<Observation> {
  const connection = await context.link.connection();
  const [definitions, journal] = await Promise.all([
    readDefinitions(connection, move.domain.uuid),
    readJournalOf(context, move, memory),
  ]);
  const live = definitions?.live;
  const info = definitions?.running
    ? await definitions.domain.blockJobInfo(move.disk).catch(noSuchDisk)
    : null;
  const job = trusted(jobOf(live, info, move), memory);
  const inLive = live && readMetadata(live, move.disk);
  const inConfig = definitions?.config && readMetadata(definitions.config, move.disk);
  const own = (found: StoredRecord | undefined) => (found?.record.id === move.id ? found : undefined);
  const ownJournal = journal?.record.id === move.id ? journal : undefined;
  const stored = newest([own(inLive)?.record, own(inConfig)?.record, ownJournal?.record]);
  const liveSide = sideOf(live, move);
  const saved = ownJournal?.definition ?? (await context.openMoves.definition(move));
  const [destination, qemuWrites, answers, sourceRemains] = await Promise.all([
    lookAtDestination(context, connection, move, ownJournal, job, memory),
    libvirtMayErr(definitions, job, liveSide, stored ?? move, memory)
      ? whereQemuWrites(context, move, definitions)
      : ('not-asked' as const),
    shouldAsk(job, stored ?? move, memory) ? askDestination(context, move, memory) : ('not-asked' as const),
    liveSide === 'destination' && move.options.deleteSource && !memory.sourcesSeenTo
      ? sourcesRemain(context, move)
      : false,
  ]);
  const world: World = {
    domain: definitions === undefined ? 'gone' : definitions.running ? 'running' : 'off',
    persistent: definitions?.persistent ?? false,
    live: liveSide,
    config: sideOf(definitions?.config, move),
    job,
    recorded: {
      live: live ? stampOf(own(inLive)?.record) : 'unavailable',
      config: definitions?.config ? stampOf(own(inConfig)?.record) : 'unavailable',
      journal: memory.journalStuck ? 'unavailable' : stampOf(ownJournal?.record),
    },
    sameInstance: own(inLive)?.mark === true,
    destination,
    answers,
    qemuWrites,
    savedDefinition: saved !== undefined,
    sourceRemains,
    sides: memory.sides,
    ...(memory.failure !== undefined && { failure: memory.failure }),
    witnessed: memory.witnessed,
    diverging: memory.diverging,
    starts: memory.starts,
  };
  return { world, definitions, journal: ownJournal, saved, stored };
}

/** A journal on storage that hangs is as good as none: the record in the domain's metadata carries the move. */
async function readJournalOf(
  context: Context,
  move: MoveRecord,
  memory: Memory,
): Promise<Journal | undefined> {
  try {
    return await readJournal(journalPlace(context, move));
  } catch (error) {
    if (!isHang(error)) throw error;
    memory.journalStuck = true;
    return undefined;
  }
}

function stampOf(record: MoveRecord | undefined): Stamp | undefined {
  return record && { phase: record.phase, goal: record.goal };
}

function shouldAsk(job: Job, move: MoveRecord, memory: Memory): boolean {
  if (job.kind !== 'ours') return false;
  if (move.goal === 'abort' || move.goal === 'keep') return job.state === 'running' || job.state === 'ready';
  return (job.state === 'ready' && move.goal === 'pivot') || memory.standsStill;
}

/** When libvirt's word on the domain is not enough: it was seen to lose running domains and finished pivots. */
function libvirtMayErr(
  definitions: Definitions | undefined,
  job: Job,
  live: Side,
  move: MoveRecord,
  memory: Memory,
): boolean {
  if (!definitions?.running) return true;
  if (job.kind === 'ours' && job.state === 'missing') return contradictsForLong(memory);
  return job.kind === 'none' && live === 'origin' && mayHavePivoted(move);
}

/** A copy that libvirt does not show counts as running until it is sure that it stays so. */
function trusted(job: Job, memory: Memory): Job {
  if (job.kind !== 'ours' || (job.state !== 'missing' && job.state !== 'unshown')) {
    delete memory.contradictsSince;
    return job;
  }
  memory.contradictsSince ??= performance.now();
  return job.state === 'unshown' && !contradictsForLong(memory) ? { ...job, state: 'running' } : job;
}

function contradictsForLong({ contradictsSince }: Memory): boolean {
  return contradictsSince !== undefined && performance.now() - contradictsSince > CONTRADICTS_FOR_MS;
}

async function sourcesRemain(context: Context, move: MoveRecord): Promise<boolean> {
  for (const { source } of move.sources) {
    if (source.kind === 'file' && (await context.host?.stat(source.path))) return true;
  }
  return false;
}

/** A disk that was unplugged has no job; what became of it shows in the definition. */
function noSuchDisk(error: unknown): null {
  if (isLibvirtError(error, ErrorCode.INVALID_ARG) || isLibvirtError(error, ErrorCode.OPERATION_INVALID))
    return null;
  throw error;
}
