// Looks at the host: everything `decide` needs, nothing remembered but what `Memory` says.
import { type MoveRecord, mayHavePivoted } from '../model/record.ts';
import type { Job, Side, World } from '../model/world.ts';
import type { Context } from '../run/context.ts';
import { type Definitions, jobOf, sideOf } from './definitions.ts';
import { askDestination, lookAtDestination } from './destination.ts';
import type { Memory } from './memory.ts';
import { whereQemuWrites } from './qemu-writes.ts';
import { type Seen, see } from './seen.ts';
import { contradictsForLong, trusted } from './trust.ts';

export interface Observation extends Seen {
  readonly world: World;
}

/** Takes one look. @throws ConnectionClosed, LibvirtError, HostError, RecordUnreadable */
export async function observe(context: Context, move: MoveRecord, memory: Memory): Promise<Observation> {
  const connection = await context.link.connection();
  const seen = await see(context, connection, move, memory);
  const { definitions, journal, stored, saved } = seen;
  const live = definitions?.live;
  const job = trusted(jobOf(live, seen.info, move), memory);
  const liveSide = sideOf(live, move);
  const [destination, qemuWrites, answers, sourceRemains] = await Promise.all([
    lookAtDestination(context, connection, move, journal, job, memory),
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
    recorded: seen.recorded,
    sameInstance: seen.sameInstance,
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
  return { ...seen, world };
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

async function sourcesRemain(context: Context, move: MoveRecord): Promise<boolean> {
  for (const { source } of move.sources) {
    if (source.kind === 'file' && (await context.host?.stat(source.path))) return true;
  }
  return false;
}
