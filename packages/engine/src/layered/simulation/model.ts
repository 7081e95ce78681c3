// A model of libvirt, QEMU and the files of a layered move, small enough to run 100,000 times. Only tests use it.
import type { Decision, LayeredStep } from '../../model/decision.ts';
import {
  type Claim,
  type KnownPlace,
  type LayeredWorld,
  LEGS,
  type Leg,
  type Place,
} from '../../model/layered-world.ts';
import { type Goal, isSwitching, type MoveRecord, mayMark, type Phase } from '../../model/record.ts';
import { unreachable } from '../../model/units.ts';
import { legOf } from '../doubt.ts';

interface Stored {
  phase: Phase;
  goal: Goal;
  use?: 'source' | 'destination';
  revision: number;
  /** Rounds that were begun, and whether another is planned. */
  rounds: number;
  next: boolean;
  /** Of a copy: the guest's file systems are about to be frozen, or may still be. */
  quiescing: boolean;
  /** The guest's writes are slowed, or may be. */
  braked: boolean;
}

/** Bit n of `writes` is set when the guest's n-th write went into this image itself. */
interface Image {
  claim: Claim;
  writes: number;
  writtenAt: bigint;
}

export interface Model {
  /** Grows with every write to any image. */
  clock: bigint;
  images: Record<KnownPlace, Image>;
  next: Image;
  /** All overlays that were frozen, and their copies. */
  frozen: Image;
  frozenCopies: number;
  /** The overlay grows past what a mirror is left with so many times. */
  growsTimes: number;
  acknowledged: number;
  writes: number;
  qemu: {
    running: boolean;
    on: Place;
    /** With `on` the overlay: on the next one. */
    onNext: boolean;
    job: { leg: Leg; state: 'running' | 'ready' | 'pivoting' } | undefined;
  };
  foreignJob: boolean;
  daemonUp: boolean;
  persistent: boolean;
  config: Place;
  configOnNext: boolean;
  copies: LayeredWorld['copies'];
  /** What a copy must have at the least: all that was acknowledged when the guest was last seen to go to the overlay. */
  frozenAt: number;
  /** The guest's file systems stand still. */
  stands: boolean;
  /** The guest writes as fast as its overlay is committed back; unless QEMU slows it. */
  outruns: boolean;
  slowed: boolean;
  /** libvirtd is about to die in the middle of a snapshot that quiesces. */
  diesInFreeze: 'no' | 'before' | 'after';
  live: (Stored & { mark: boolean }) | undefined;
  inConfig: Stored | undefined;
  journal: Stored | undefined;
  process: {
    copying: LayeredWorld['copying'];
    relinked: boolean;
    overlayFresh: boolean;
    carrierFresh: boolean;
    lastLeg: Leg | undefined;
    witnessed: LayeredWorld['witnessed'];
    starts: number;
    sides: LayeredWorld['sides'];
    move: MoveRecord | undefined;
  };
  meddled: boolean;
  /** The destination is no file: it was there before and stays, and nobody tells when it was written to. */
  device: boolean;
  /** When the copies were complete, as long as their journals are there. */
  copiedAt: bigint | undefined;
}

export const freshProcess = (): Model['process'] => ({
  copying: 'no',
  relinked: false,
  overlayFresh: false,
  carrierFresh: false,
  lastLeg: undefined,
  witnessed: 'nothing',
  starts: 0,
  sides: 'not-asked',
  move: undefined,
});

const absent = (): Image => ({ claim: 'absent', writes: 0, writtenAt: 0n });

export function newModel(persistent: boolean, growsTimes: number, device = false): Model {
  return {
    clock: 0n,
    images: {
      origin: { claim: 'ours', writes: 0, writtenAt: 0n },
      overlay: absent(),
      carrier: absent(),
      destination: device ? { claim: 'unknown', writes: 0, writtenAt: 0n } : absent(),
    },
    next: absent(),
    frozen: absent(),
    frozenCopies: 0,
    growsTimes,
    acknowledged: 0,
    writes: 0,
    qemu: { running: true, on: 'origin', onNext: false, job: undefined },
    foreignJob: false,
    daemonUp: true,
    persistent,
    config: persistent ? 'origin' : 'none',
    configOnNext: false,
    copies: 'partial',
    frozenAt: 0,
    stands: false,
    outruns: false,
    slowed: false,
    diesInFreeze: 'no',
    live: undefined,
    inConfig: undefined,
    journal: undefined,
    process: freshProcess(),
    meddled: false,
    device,
    copiedAt: undefined,
  };
}

/** What a guest on this image reads. */
export function viewOf(model: Model, place: Place): number {
  const { images } = model;
  switch (place) {
    case 'origin':
      return images.origin.writes;
    case 'overlay':
      return images.origin.writes | writesAbove(model, 'return');
    case 'carrier':
      return images.destination.writes | writesAbove(model, 'collapse');
    case 'destination':
      return images.destination.writes;
    case 'elsewhere':
    case 'none':
      return 0;
    default:
      return unreachable(place);
  }
}

/** What the leg brings to its end: a commit takes along all images above that. */
function writesAbove(model: Model, leg: Leg): number {
  const { images, next, frozen, frozenCopies } = model;
  switch (leg) {
    case 'switch':
      return images.overlay.writes;
    case 'collapse':
      return frozenCopies | images.carrier.writes;
    case 'return':
      return frozen.writes | images.overlay.writes | (isOnNext(model) ? next.writes : 0);
    default:
      return unreachable(leg);
  }
}

function isOnNext({ qemu, persistent, config, configOnNext, next }: Model): boolean {
  if (qemu.running) return qemu.on === 'overlay' && qemu.onNext;
  return persistent ? config === 'overlay' && configOnNext : next.claim === 'ours';
}

export function findRecord({ live, inConfig, journal }: Model): Stored | undefined {
  const places = [live, inConfig, journal].filter((place) => place !== undefined);
  return places.toSorted((one, other) => other.revision - one.revision)[0];
}

export function observe(model: Model): LayeredWorld {
  const { qemu, images, process } = model;
  const { running } = qemu;
  if (running && model.live?.mark !== true) process.overlayFresh = false;
  const stamp = (stored: Stored | undefined) => stored && { phase: stored.phase, goal: stored.goal };
  const { move: _, ...own } = process;
  return {
    ...own,
    domain: running ? 'running' : model.persistent ? 'off' : 'gone',
    persistent: model.persistent,
    live: running ? qemu.on : 'none',
    config: model.persistent ? model.config : 'none',
    job: observedJob(model),
    recorded: {
      live: running ? stamp(model.live) : 'unavailable',
      config: model.persistent ? stamp(model.inConfig) : 'unavailable',
      journal: stamp(model.journal),
    },
    sameInstance: running && model.live?.mark === true,
    overlay: images.overlay.claim,
    next: model.next.claim,
    onNext: isOnNext(model),
    growth: grown(model),
    diverging: model.outruns && !model.slowed && model.qemu.job?.leg === 'return',
    shortOfRoom: false,
    destinationFull: false,
    carrier: images.carrier.claim,
    copyFiles: images.destination.claim,
    writtenAt: {
      ...Object.fromEntries(
        Object.entries(images).flatMap(([place, { claim, writtenAt }]) =>
          claim === 'absent' || claim === 'unknown'
            ? []
            : [[place, place === 'origin' ? latest(writtenAt, model.frozen) : writtenAt]],
        ),
      ),
      ...(model.device && model.copiedAt !== undefined && { destination: model.copiedAt }),
    },
    remains: [images.overlay, model.next, images.carrier, images.destination].some(
      ({ claim }) => claim !== 'absent' && claim !== 'unknown',
    ),
    copies: findRecord(model)?.goal === 'keep' ? 'complete' : model.copies,
    answers: 'not-asked',
    qemuWrites: qemuWrites(model),
    sourceRemains: false,
  };
}

function latest(writtenAt: bigint, frozen: Image): bigint {
  return writtenAt > frozen.writtenAt ? writtenAt : frozen.writtenAt;
}

function grown(model: Model): LayeredWorld['growth'] {
  const grows = model.qemu.running && (findRecord(model)?.rounds ?? 0) < model.growsTimes;
  return grows ? { overlay: 100n, before: undefined, small: 10n } : undefined;
}

function observedJob({ qemu, foreignJob }: Model): LayeredWorld['job'] {
  if (!qemu.running) return { kind: 'none' };
  if (qemu.job) return { kind: 'ours', ...qemu.job, cur: 0n, end: 0n };
  return foreignJob ? { kind: 'foreign', what: 'pull' } : { kind: 'none' };
}

function qemuWrites(model: Model): LayeredWorld['qemuWrites'] {
  if (!model.qemu.running) return 'nobody';
  const phase = findRecord(model)?.phase ?? 'freezing';
  const leg = legOf(phase);
  if (!isSwitching(phase) || leg === undefined || model.qemu.job) return 'not-asked';
  if (model.qemu.on === LEGS[leg].from) return 'origin';
  return model.qemu.on === LEGS[leg].to ? 'destination' : 'not-asked';
}

/** Carries a decision out. Returns true when the move has ended with it. */
export function act(
  model: Model,
  move: MoveRecord,
  decision: Decision<LayeredStep> & { kind: 'act' },
): boolean {
  const { step } = decision;
  const { process } = model;
  switch (step.name) {
    case 'record':
      writeRecord(model, move, decision.phase, decision.goal);
      return false;
    case 'record-round':
      recordRound(model, move, decision, step.round);
      return false;
    case 'claim-files':
      claimFiles(model);
      return false;
    case 'freeze':
      if (move.copy === undefined) freeze(model);
      else freezeQuiesced(model, move, decision);
      return false;
    case 'copy-layers':
      if (decision.goal === 'keep') throw new Error('copied again what was complete');
      process.copying = 'running';
      return false;
    case 'stop-copying':
      process.copying = 'no';
      return false;
    case 'relink':
      process.relinked = true;
      return false;
    case 'keep-copies':
      if (model.copies !== 'complete' || !process.relinked) throw new Error('kept copies that are not done');
      writeRecord(model, move, decision.phase, decision.goal);
      return false;
    case 'brake-guest':
      writeRecord(model, move, decision.phase, decision.goal, { braked: true });
      if (!model.qemu.running) throw new Error('slowed a guest that does not run');
      model.slowed = true;
      return false;
    case 'release-guest':
      model.slowed = false;
      writeRecord(model, move, decision.phase, decision.goal, { braked: false });
      return false;
    case 'thaw-guest':
      model.stands = false;
      writeRecord(model, move, decision.phase, decision.goal, { quiescing: false });
      return false;
    case 'prepare-carrier':
      if (model.qemu.running && model.qemu.on === 'carrier') throw new Error('remade the image of the guest');
      make(model, 'carrier');
      process.carrierFresh = true;
      return false;
    case 'start-leg':
      startLeg(model, step.leg);
      return false;
    case 'finish-leg':
      if (model.qemu.job?.leg === step.leg && model.qemu.job.state === 'ready')
        model.qemu.job.state = 'pivoting';
      return false;
    case 'cancel-leg':
      if (model.qemu.job?.state !== 'pivoting') model.qemu.job = undefined;
      process.witnessed = 'canceled-by-us';
      return false;
    case 'walk':
      walk(model, step.leg);
      return false;
    case 'define-on':
      model.config = step.place;
      return false;
    case 'compare-ends':
      if (model.qemu.running) throw new Error('compared the images of a running domain');
      process.sides =
        viewOf(model, LEGS[step.leg].from) === viewOf(model, LEGS[step.leg].to) ? 'same' : 'differ';
      return false;
    case 'clear':
      if (step.what === 'everything' && decision.goal === 'keep') throw new Error('removed complete copies');
      clear(model, step.what);
      return false;
    case 'pause-guest':
    case 'unpause-guest':
      throw new Error('one disk needs no pause');
    case 'delete-source':
      return false;
    case 'close':
      model.live = undefined;
      model.inConfig = undefined;
      model.journal = undefined;
      return true;
    default:
      return unreachable(step);
  }
}

function recordRound(
  model: Model,
  move: MoveRecord,
  { phase, goal }: { readonly phase: Phase; readonly goal: Goal },
  round: 'planned' | 'begun' | 'dropped',
): void {
  const rounds = findRecord(model)?.rounds ?? 0;
  if (round !== 'begun') {
    writeRecord(model, move, phase, goal, { rounds, next: round === 'planned' });
    return;
  }
  if (!isOnNext(model)) throw new Error('froze an overlay under the guest');
  writeRecord(model, move, phase, goal, { rounds: rounds + 1, next: false });
  const { overlay } = model.images;
  model.frozen = {
    claim: 'ours',
    writes: model.frozen.writes | overlay.writes,
    writtenAt: latest(overlay.writtenAt, model.frozen),
  };
  model.images.overlay = model.next;
  model.next = absent();
  // A definition that still names the one before is behind.
  if (model.config === 'overlay' && !model.configOnNext) model.config = 'origin';
  model.configOnNext = false;
  model.qemu.onNext = false;
  model.copies = 'partial';
  model.process.relinked = false;
  model.process.carrierFresh = false;
}

export function writeRecord(
  model: Model,
  move: MoveRecord,
  phase: Phase,
  goal: Goal,
  change: Partial<Pick<Stored, 'rounds' | 'next' | 'quiescing' | 'braked'>> = {},
): void {
  const last = findRecord(model);
  const { revision = 0, rounds = 0, next = false, quiescing = false, braked = false } = last ?? {};
  const stored: Stored = { phase, goal, revision: revision + 1, rounds, next, quiescing, braked, ...change };
  if (move.use !== undefined && move.phase === phase) stored.use = move.use;
  const mark = mayMark(findRecord(model) ?? move, model.live?.mark === true);
  if (model.qemu.running) model.live = { ...stored, mark };
  if (model.persistent) model.inConfig = { ...stored };
  model.journal = { ...stored };
  const { use: _, ...rest } = move;
  model.process.move = { ...rest, phase, goal, ...(stored.use && { use: stored.use }) };
}

function claimFiles(model: Model): void {
  const { images, qemu, process } = model;
  const place = qemu.running ? qemu.on : model.config;
  if (findRecord(model)?.next) {
    if (isOnNext(model)) throw new Error('remade the overlay of the guest');
    model.clock += 1n;
    model.next = { claim: 'ours', writes: 0, writtenAt: model.clock };
    process.overlayFresh = true;
  } else if (place === 'origin') {
    make(model, 'overlay');
    process.overlayFresh = true;
  }
  if (images.destination.claim === 'absent') make(model, 'destination');
  if (qemu.running && model.live) model.live.mark = true;
}

function freeze(model: Model): void {
  const { qemu, images, process } = model;
  const again = findRecord(model)?.next === true;
  const ahead = again ? model.next : images.overlay;
  if (ahead.claim !== 'ours') throw new Error('froze without an overlay');
  if (qemu.running && !model.foreignJob) {
    if (ahead.writes !== 0) throw new Error('froze onto an overlay that was used before');
    if (again && qemu.on === 'overlay') qemu.onNext = true;
    if (!again && qemu.on === 'origin') qemu.on = 'overlay';
    if (!again) model.frozenAt = model.acknowledged;
  }
  if (qemu.running && model.foreignJob) return;
  process.overlayFresh = false;
  if (!again && model.config === 'origin') model.config = 'overlay';
  else if (again && model.config === 'overlay') model.configOnNext = true;
}

/** The intent is on record; libvirt freezes the file systems, takes the snapshot, and thaws: unless it dies in between. */
function freezeQuiesced(
  model: Model,
  move: MoveRecord,
  { phase, goal }: { readonly phase: Phase; readonly goal: Goal },
): void {
  writeRecord(model, move, phase, goal, { quiescing: true });
  if (model.diesInFreeze !== 'before') freeze(model);
  if (model.diesInFreeze === 'no') return;
  model.stands = model.qemu.running;
  model.diesInFreeze = 'no';
  model.daemonUp = false;
}

function startLeg(model: Model, leg: Leg): void {
  const { process, qemu } = model;
  if (process.lastLeg !== leg) process.starts = 0;
  process.lastLeg = leg;
  process.witnessed = 'nothing';
  process.starts += 1;
  const refused = !qemu.running || qemu.job || model.foreignJob || qemu.on !== LEGS[leg].from;
  if (refused) {
    process.witnessed = 'failed';
    return;
  }
  if (leg === 'switch') {
    if (model.copies !== 'complete' || !process.relinked)
      throw new Error('switched onto copies that are not done');
    if (!process.carrierFresh) throw new Error('mirrored onto a carrier with contents');
    process.carrierFresh = false;
  }
  qemu.job = { leg, state: 'running' };
}

/** A job that the guest outruns does not become ready. */
export function becomeReady(model: Model): void {
  const { job } = model.qemu;
  if (job === undefined || job.state === 'pivoting') return;
  copyAlong(model, job.leg);
  if (job.leg !== 'return' || !model.outruns || model.slowed) job.state = 'ready';
}

/** QEMU carries the order out by itself, whether libvirtd is there to see it or not. */
export function finishSwitch(model: Model): void {
  const { job } = model.qemu;
  if (!model.qemu.running || job?.state !== 'pivoting') return;
  copyAlong(model, job.leg);
  model.qemu.job = undefined;
  model.qemu.on = LEGS[job.leg].to;
  if (model.daemonUp && model.config === LEGS[job.leg].from) model.config = LEGS[job.leg].to;
}

export function copyAlong(model: Model, leg: Leg): void {
  write(model, LEGS[leg].to, writesAbove(model, leg));
}

/** Puts writes into an image. */
export function write(model: Model, place: KnownPlace, writes: number): void {
  model.clock += 1n;
  const image = model.images[place];
  image.writes |= writes;
  image.writtenAt = model.clock;
  // Their journals know the time of the images that they are of.
  if (place === 'origin' && model.copies === 'complete') model.copies = 'stale';
}

function make(model: Model, place: KnownPlace): void {
  model.clock += 1n;
  model.images[place] = { claim: 'ours', writes: 0, writtenAt: model.clock };
}

function walk(model: Model, leg: Leg): void {
  if (model.qemu.running) throw new Error('walked while the domain runs');
  if (leg === 'switch') {
    if (model.copies !== 'complete') throw new Error('walked onto copies that are not done');
    make(model, 'carrier');
  }
  copyAlong(model, leg);
  if (model.persistent) model.config = LEGS[leg].to;
  else model.images[LEGS[leg].from] = absent();
}

function clear(model: Model, what: 'overlays' | 'everything'): void {
  const doomed: KnownPlace[] = [
    'overlay',
    'carrier',
    ...(what === 'everything' && !model.device ? ['destination' as const] : []),
  ];
  for (const place of doomed) {
    if (model.images[place].claim === 'absent') continue;
    if (model.qemu.running && model.qemu.on === place)
      throw new Error(`removed the ${place} under the guest`);
    if (model.persistent && model.config === place) throw new Error(`removed the ${place} that is defined`);
  }
  const stays = model.qemu.running ? model.qemu.on : model.persistent ? model.config : undefined;
  if (what === 'everything' && stays === 'carrier') throw new Error('removed what the carrier stands on');
  for (const place of doomed) model.images[place] = absent();
  model.next = absent();
  model.frozen = absent();
  model.frozenCopies = 0;
  model.copiedAt = undefined;
  if (what === 'everything') model.copies = 'partial';
}
