// Looks at the host for a commit or a pull: which chain the disk has, what runs, and what the next boot will use.
import { type DiskDefinition, type DomainXml, sameSource } from '@blockferry/libvirt';
import { BrokenChain, type Host, readChain } from '@blockferry/qemu';
import { type ImageRef, isSwitching, type MoveRecord } from '../model/record.ts';
import type { Job, ShortenWorld, Side, World } from '../model/world.ts';
import { type Definitions, type JobInfo, stateOf } from '../observe/definitions.ts';
import { lookAtDestination } from '../observe/destination.ts';
import type { Memory } from '../observe/memory.ts';
import { whereQemuWrites } from '../observe/qemu-writes.ts';
import { type Seen, see } from '../observe/seen.ts';
import { contradictsForLong, trusted } from '../observe/trust.ts';
import type { Context } from '../run/context.ts';
import { refsOf } from '../storage/chain-refs.ts';
import { readDiskChain } from '../storage/disk-chain.ts';
import { toImage, toRef } from '../storage/to-image.ts';
import { chainOn, leaves, sideOfDisk, sideOfImages, switches } from './chain.ts';

export interface ShortenObservation extends Seen {
  readonly world: ShortenWorld;
}

/** Takes one look. @throws as `observe` does; BrokenChain, QemuImgError for images that cannot be read */
export async function observeShorten(
  context: Context,
  move: MoveRecord,
  memory: Memory,
): Promise<ShortenObservation> {
  const connection = await context.link.connection();
  const seen = await see(context, connection, move, memory);
  const { definitions, stored } = seen;
  const current = stored ?? move;
  const live = sideOfDisk(definitions?.live?.disk(move.disk), current);
  const own = memory.shorten.work?.state() ?? 'no';
  const job = trusted(goneOrNot(jobOf(definitions?.live, seen.info, current), live, memory), memory);
  let { failure } = memory;
  // An image may be gone for good, and to go back needs none.
  const unlessBroken = (error: unknown): Side => {
    if (!(error instanceof BrokenChain)) throw error;
    failure = error.message;
    return 'elsewhere';
  };
  const [config, qemuWrites, sourceRemains] = await Promise.all([
    configSide(context, definitions, current, live, own).catch(unlessBroken),
    writesOf(context, current, definitions, live, job, memory, own),
    live === 'destination' || live === 'none' ? sourcesRemain(context, current, memory) : false,
  ]);
  const offline = own === 'no' && mayBeElsewhere(qemuWrites, definitions, memory) ? 'elsewhere' : own;
  const isReady = job.kind === 'ours' && job.state === 'ready';
  const world: ShortenWorld = {
    domain: definitions === undefined ? 'gone' : definitions.running ? 'running' : 'off',
    persistent: definitions?.persistent ?? false,
    live,
    config,
    job,
    recorded: seen.recorded,
    sameInstance: seen.sameInstance,
    // Whatever holds up the base holds the guest up already: it reads from there. One whose name is gone it reads, too.
    destination: isReady
      ? await lookAtDestination(context, connection, current, undefined, job, memory)
      : 'unknown',
    answers: 'not-asked',
    qemuWrites,
    savedDefinition: false,
    sourceRemains,
    sides: memory.sides,
    ...(failure !== undefined && { failure }),
    witnessed: memory.witnessed,
    diverging: false,
    starts: memory.starts,
    offline,
  };
  return { ...seen, world };
}

/**
 * The block job on the disk. libvirt shows the base of a commit that will switch the guest as a mirror; of another commit
 * and of a pull it says no more than that there is one.
 */
export function jobOf(live: DomainXml | undefined, info: JobInfo | null, move: MoveRecord): Job {
  const mirror = live?.disk(move.disk)?.mirror;
  const wanted = switches(move) ? 'active-commit' : move.strategy;
  if (mirror !== undefined) {
    const ours = mirror.source !== undefined && sameSource(mirror.source, move.destination.source);
    if (!ours || mirror.job !== wanted) return { kind: 'foreign', what: mirror.job };
    return { kind: 'ours', ...stateOf(mirror, info) };
  }
  if (info === null) return { kind: 'none' };
  if (info.type !== wanted) return { kind: 'foreign', what: info.type };
  return { kind: 'ours', state: switches(move) ? 'unshown' : 'running', cur: info.cur, end: info.end };
}

/** QEMU is through with a job a moment before libvirt's definition shows what it did: until then it is not gone. */
function goneOrNot(job: Job, live: Side, memory: Memory): Job {
  const { shorten } = memory;
  if (job.kind === 'ours') shorten.jobSeen = true;
  if (job.kind !== 'none' || live !== 'origin' || !shorten.jobSeen) return job;
  if (memory.witnessed !== 'nothing' || contradictsForLong(memory)) {
    shorten.jobSeen = false;
    return job;
  }
  return { kind: 'ours', state: 'missing', cur: 0n, end: 0n };
}

/** So long another blockferry takes at most to see that it is to stop, and its qemu-img to end. */
const STOPS_WITHIN_MS = 5_000;

/** Somebody who is not the domain's QEMU has its images open: for a while it is taken for one of us. */
function mayBeElsewhere(
  qemuWrites: World['qemuWrites'],
  definitions: Definitions | undefined,
  { shorten }: Memory,
): boolean {
  if (definitions?.running !== false || qemuWrites !== 'unclear') {
    delete shorten.lockedSince;
    return false;
  }
  shorten.lockedSince ??= performance.now();
  return performance.now() - shorten.lockedSince < STOPS_WITHIN_MS;
}

/** What the next boot will use: of a domain that is off, what its definition and its images say. */
async function configSide(
  { host }: Context,
  definitions: Definitions | undefined,
  move: MoveRecord,
  live: Side,
  offline: ShortenWorld['offline'],
): Promise<Side> {
  const disk = definitions?.config?.disk(move.disk);
  if (disk?.source === undefined) return 'none';
  if (switches(move)) return byActiveImage(disk, move);
  const [active] = chainOn(move, 'origin');
  if (active === undefined || !sameSource(disk.source, active.source)) return 'elsewhere';
  if (definitions?.running === true) {
    // libvirt goes by what the definition spells out, whatever the headers say.
    const isStale = live === 'destination' && refsOf(disk).some((image) => leaves(move, image));
    return live === 'origin' || isStale ? 'origin' : 'destination';
  }
  // Whoever works on the images finds out when the work is done.
  if (offline === 'running' || host === undefined) return 'origin';
  return sideOfImages(await nextChain(host, disk), move);
}

/** What libvirt will start with: the images that the definition spells out, then those that the last one's header leads to. */
async function nextChain(host: Host, disk: DiskDefinition): Promise<readonly ImageRef[]> {
  const told = refsOf(disk);
  const last = told.at(-1);
  if (disk.chainTerminated || last === undefined) return told;
  const rest = told.length > 1 ? await readChain(host, toImage(last)) : await readDiskChain(host, disk);
  return [...told.slice(0, -1), ...rest.map(({ image }) => toRef(image))];
}

function byActiveImage({ source }: DiskDefinition, move: MoveRecord): Side {
  const is = (side: 'origin' | 'destination') => {
    const [active] = chainOn(move, side);
    return source !== undefined && active !== undefined && sameSource(source, active.source);
  };
  return is('destination') ? 'destination' : is('origin') ? 'origin' : 'elsewhere';
}

/** Asked of QEMU where libvirt may be behind; see the mirror's observe.ts. */
async function writesOf(
  context: Context,
  move: MoveRecord,
  definitions: Definitions | undefined,
  live: Side,
  job: Job,
  memory: Memory,
  offline: ShortenWorld['offline'],
): Promise<World['qemuWrites']> {
  // The locks are our own.
  if (offline === 'running') return 'not-asked';
  const [origin] = chainOn(move, 'origin');
  const [destination] = chainOn(move, 'destination');
  if (origin === undefined || destination === undefined) return 'not-asked';
  const ends = { domain: move.domain, disk: move.disk, origin, destination };
  if (!definitions?.running) return whereQemuWrites(context, ends, definitions);
  if (!switches(move)) return 'not-asked';
  if (job.kind === 'ours' && job.state === 'missing') {
    return contradictsForLong(memory) ? whereQemuWrites(context, ends, definitions) : 'not-asked';
  }
  const lost =
    job.kind === 'none' && live === 'origin' && (isSwitching(move.phase) || move.phase === 'settling');
  return lost ? whereQemuWrites(context, ends, definitions) : 'not-asked';
}

async function sourcesRemain({ host }: Context, move: MoveRecord, memory: Memory): Promise<boolean> {
  if (!move.options.deleteSource || memory.sourcesSeenTo) return false;
  for (const { source } of move.sources) {
    if (source.kind === 'file' && (await host?.stat(source.path))) return true;
  }
  return false;
}
