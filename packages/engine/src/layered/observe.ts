// Looks at the host for a move with strategy `layered`: where the guest is, what runs, and what of ours is there.
import { type Connection, type DomainXml, sameSource } from '@blockferry/libvirt';
import {
  type Claim,
  type LayeredWorld,
  LEGS,
  type Leg,
  type LegJob,
  type Place,
} from '../model/layered-world.ts';
import { type ImageRef, isSwitching, type MoveRecord } from '../model/record.ts';
import { allLayers } from '../model/rounds.ts';
import { type JobInfo, stateOf } from '../observe/definitions.ts';
import { askDestination } from '../observe/destination.ts';
import type { Memory } from '../observe/memory.ts';
import { whereQemuWrites } from '../observe/qemu-writes.ts';
import { type Seen, see } from '../observe/seen.ts';
import { contradictsForLong, trusted } from '../observe/trust.ts';
import { savedDefinition } from '../observe/usage.ts';
import type { Context } from '../run/context.ts';
import { claimOf, isSomething, worstClaim } from './claims.ts';
import { copiesState, copyJournals } from './copies.ts';
import { claimOfCopy } from './copy-claims.ts';
import { wantsBack } from './decide.ts';
import { legOf } from './doubt.ts';
import { growthOf } from './growth.ts';
import { claimOfUnused } from './half-made.ts';
import { imageAt, layeredPart } from './image-at.ts';
import { resizedFrom } from './resized.ts';
import { lacksRoomForOverlay } from './room.ts';
import { mtimeOf, unseenAhead } from './unseen.ts';

export interface LayeredObservation extends Seen {
  readonly world: LayeredWorld;
}

/** Takes one look. @throws as `observe` does */
export async function observeLayered(
  context: Context,
  move: MoveRecord,
  memory: Memory,
): Promise<LayeredObservation> {
  const connection = await context.link.connection();
  const seen = await see(context, connection, move, memory);
  const { definitions } = seen;
  const current = seen.stored ?? move;
  const domain = definitions === undefined ? 'gone' : definitions.running ? 'running' : 'off';
  const live = placeOf(definitions?.live, current);
  const config = placeOf(definitions?.config, current);
  const where = domain === 'running' ? live : domain === 'off' ? config : 'overlay';
  memory.layered.copy?.setBandwidth(current.options.bandwidth);
  const job = trusted(legJobOf(definitions?.live, seen.info, move, live), memory);
  const part = layeredPart(current);
  const { overlay, carrier, next } = part;
  // Made for a QEMU that is gone: this one may have been started from an image below an overlay that the other one used.
  if (domain === 'running' && !seen.sameInstance) memory.layered.overlayFresh = false;
  // A running domain gets it anew; that of one that is off may hold what its last QEMU wrote, unseen.
  const mayBeUnused = domain === 'gone' || (domain === 'off' && config === 'origin');
  // Before the journals: a copier that ends between the two looks would seem to have left them incomplete.
  const copying = copyingOf(memory);
  const [overlayClaim, carrierClaim, nextClaim, copyClaims, copies, qemuWrites, growth] = await Promise.all([
    (mayBeUnused ? claimOfUnused : claimOf)(context, overlay, seen.journal),
    claimOf(context, carrier, seen.journal),
    next === undefined
      ? ('absent' as const)
      : (domain === 'running' ? claimOf : claimOfUnused)(context, next, seen.journal),
    Promise.all(allLayers(part).map(({ to }) => claimOfCopy(context, current, to, seen.journal, memory))),
    // Once the guest has left the overlay, nobody asks any more; nor once it is known that the copies stay.
    where === 'overlay' && current.goal !== 'keep'
      ? copiesState(context, current, memory)
      : ('complete' as const),
    writesOf(context, current, seen, live, job, memory),
    where === 'overlay' && copying === 'no' ? growthOf(context, current, seen, memory) : undefined,
  ]);
  const { layered } = memory;
  // Asked right before the carrier is begun only: its mirror fails if there is none.
  const leaves = where === 'overlay' && copying === 'no' && copies === 'complete' && job.kind === 'none';
  const collapses = where === 'carrier' && job.kind === 'none';
  const shortOfRoom = leaves && (await lacksRoomForOverlay(context.host, current));
  const fresh = layered.overlayFresh && seen.sameInstance;
  const onNext = isOnNext(seen, current, nextClaim);
  const { journal } = seen;
  const world: LayeredWorld = {
    domain,
    persistent: definitions?.persistent ?? false,
    savedOn: domain === 'off' ? await savedOn(connection, seen, current) : undefined,
    live,
    config,
    job,
    recorded: seen.recorded,
    sameInstance: seen.sameInstance,
    overlay: overlayClaim,
    carrier: carrierClaim,
    next: nextClaim,
    onNext,
    unseen: await unseenAhead(context, current, { domain, where, onNext, fresh, journal }),
    growth,
    shortOfRoom,
    resized: leaves || collapses ? await resizedFrom(context.host, current, where) : undefined,
    destinationFull: memory.destinationFull ?? false,
    copyFiles: worstClaim(copyClaims),
    writtenAt: await writtenAt(context, current),
    remains: [overlayClaim, carrierClaim, nextClaim, ...copyClaims].some(isSomething),
    copies,
    copying,
    diverging: memory.diverging,
    ...(current.copy?.quiesce === 'require' && layered.quiesceFailed !== undefined
      ? { quiesceFailed: layered.quiesceFailed }
      : {}),
    relinked: layered.relinked,
    overlayFresh: layered.overlayFresh,
    carrierFresh: layered.carrierFresh,
    lastLeg: layered.lastLeg,
    answers: await answersOf(context, current, { job, where }, memory),
    qemuWrites,
    sourceRemains: await sourcesRemain(context, move, live, memory),
    sides: memory.sides,
    ...(memory.failure !== undefined && { failure: memory.failure }),
    witnessed: memory.witnessed,
    starts: memory.starts,
  };
  return { ...seen, world };
}

/** libvirt starts a saved domain from the definition that was saved with its memory (virDomainManagedSave). */
async function savedOn(
  connection: Connection,
  { definitions }: Seen,
  move: MoveRecord,
): Promise<Place | undefined> {
  const saved = definitions && (await savedDefinition(connection, definitions.domain));
  return saved && placeOf(saved, move);
}

/** Which of the move's images this definition gives the disk. */
function placeOf(definition: DomainXml | undefined, move: MoveRecord): Place {
  const source = definition?.disk(move.disk)?.source;
  if (source === undefined) return 'none';
  const { next, rounds = [] } = layeredPart(move);
  if (next !== undefined && sameSource(source, next.source)) return 'overlay';
  // An overlay that was frozen is as far behind as the chain below it.
  if (rounds.some(({ from }) => sameSource(source, from.source))) return 'origin';
  // A guest on what was to be a copy of its disk was put there by somebody else.
  const ahead = move.copy === undefined ? (['destination', 'carrier'] as const) : [];
  const places = [...ahead, 'overlay', 'origin'] as const;
  return places.find((place) => sameSource(source, imageAt(move, place).source)) ?? 'elsewhere';
}

function isOnNext({ definitions }: Seen, move: MoveRecord, claim: Claim): boolean {
  const { next } = layeredPart(move);
  if (next === undefined) return false;
  if (definitions === undefined) return claim === 'ours';
  const source = (definitions.live ?? definitions.config)?.disk(move.disk)?.source;
  return source !== undefined && sameSource(source, next.source);
}

/** The block job on the disk, as one of the move's legs. */
export function legJobOf(
  live: DomainXml | undefined,
  info: JobInfo | null,
  move: MoveRecord,
  place: Place,
): LegJob {
  const mirror = live?.disk(move.disk)?.mirror;
  const legs = (['switch', 'collapse', 'return'] as const).filter((leg) => LEGS[leg].from === place);
  if (mirror === undefined) {
    if (info === null) return { kind: 'none' };
    const leg = legs.find((each) => LEGS[each].job === info.type);
    if (leg === undefined) return { kind: 'foreign', what: info.type };
    return { kind: 'ours', leg, state: 'unshown', cur: info.cur, end: info.end };
  }
  const { source } = mirror;
  const leg = legs.find(
    (each) =>
      LEGS[each].job === mirror.job &&
      source !== undefined &&
      sameSource(source, imageAt(move, LEGS[each].to).source),
  );
  if (leg === undefined) return { kind: 'foreign', what: mirror.job };
  return { kind: 'ours', leg, ...stateOf(mirror, info) };
}

/** Asked of QEMU where libvirt may be behind: it was seen to lose domains, snapshots and finished switches. */
async function writesOf(
  context: Context,
  move: MoveRecord,
  { definitions }: Seen,
  live: Place,
  job: LegJob,
  memory: Memory,
): Promise<LayeredWorld['qemuWrites']> {
  const { domain, disk } = move;
  const { overlay, next } = layeredPart(move);
  const mayFreeze = job.kind === 'none' && !isSwitching(move.phase) && !memory.layered.overlayFresh;
  if (mayFreeze && live === (next === undefined ? 'origin' : 'overlay')) {
    const ends = {
      domain,
      disk,
      origin: next === undefined ? move.origin : overlay,
      destination: next ?? overlay,
    };
    return whereQemuWrites(context, ends, definitions);
  }
  const leg = legInDoubt(move, live, job);
  const [origin, destination] = [imageAt(move, LEGS[leg].from), imageAt(move, LEGS[leg].to)];
  const ends = { domain, disk, origin, destination };
  if (!definitions?.running) return whereQemuWrites(context, ends, definitions);
  if (job.kind === 'ours' && job.state === 'missing') {
    return contradictsForLong(memory) ? whereQemuWrites(context, ends, definitions) : 'not-asked';
  }
  const lost = isSwitching(move.phase) && job.kind !== 'ours' && live === LEGS[leg].from;
  return lost ? whereQemuWrites(context, ends, definitions) : 'not-asked';
}

/** The leg whose two ends the guest may be on. */
function legInDoubt(move: MoveRecord, live: Place, job: LegJob): Leg {
  if (job.kind === 'ours') return job.leg;
  const ordered = legOf(move.phase);
  if (ordered !== undefined) return ordered;
  return live === 'carrier' || move.phase === 'collapsing' || move.phase === 'settling'
    ? 'collapse'
    : 'switch';
}

/**
 * QEMU opens what is below the carrier at the switch (libvirt adds it right before), and the guest waits for that. Copies
 * that are files were written and read back a moment ago, on the storage where the carrier stands. Going back, QEMU has
 * none of it open; but one of several that move as one goes forward, whatever its own record wants, once another has. A
 * server may have been gone when a commit to it failed.
 */
async function answersOf(
  context: Context,
  move: MoveRecord,
  { job, where }: { readonly job: LegJob; readonly where: Place },
  memory: Memory,
): Promise<LayeredWorld['answers']> {
  const hasFailed = memory.layered.lastLeg === 'collapse' && memory.witnessed === 'failed';
  // On the way forward, one that fails at once is no answer.
  const ask = () => askDestination(context, { ...move, goal: 'pivot' }, memory);
  if (where === 'carrier' && job.kind === 'none' && hasFailed && move.destination.source.kind === 'network') {
    return ask();
  }
  const isUnderWay = job.kind === 'ours' || copyingOf(memory) === 'running';
  if (memory.standsStill && isUnderWay && !wantsBack(move)) return ask();
  const toSwitch = job.kind === 'ours' && job.leg === 'switch' && job.state === 'ready';
  const goesBack = wantsBack(move) && move.group === undefined;
  if (!toSwitch || goesBack || move.destination.source.kind === 'file') return 'not-asked';
  // It did when it was copied to.
  memory.everAnswered = true;
  return ask();
}

function copyingOf({ layered }: Memory): LayeredWorld['copying'] {
  const state = layered.copy?.state() ?? 'done';
  return state === 'done' || (state !== 'running' && state.wayLost) ? 'no' : state;
}

async function sourcesRemain(
  context: Context,
  move: MoveRecord,
  live: Place,
  memory: Memory,
): Promise<boolean> {
  if (!move.options.deleteSource || live === 'overlay' || memory.sourcesSeenTo) return false;
  for (const { source } of move.sources) {
    if (source.kind === 'file' && (await context.host?.stat(source.path))) return true;
  }
  return false;
}

function fileRef(path: string): ImageRef {
  return { source: { kind: 'file', path }, format: 'raw' };
}

async function writtenAt({ host }: Context, move: MoveRecord): Promise<LayeredWorld['writtenAt']> {
  const { rounds = [] } = layeredPart(move);
  const mtime = async (image: ImageRef) => host && mtimeOf(host, image);
  const places = ['origin', 'overlay', 'carrier', 'destination'] as const;
  const times = await Promise.all(
    places.map(async (place) => {
      // What was frozen since belongs to the origin: nobody may write to it either.
      const frozen = place === 'origin' ? rounds.map(({ from }) => from) : [];
      // A device does not tell. It was written to later than the copy was journaled, and what is frozen was not.
      const isDevice = place === 'destination' && move.destination.source.kind !== 'file';
      const journals = isDevice ? copyJournals(move).map(fileRef) : [];
      const all = await Promise.all([imageAt(move, place), ...frozen, ...journals].map(mtime));
      const latest = all.toSorted((one, other) => Number((other ?? -1n) - (one ?? -1n)))[0];
      return latest === undefined ? {} : { [place]: latest };
    }),
  );
  return Object.assign({}, ...times);
}
