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
  acknowledged: number;
  writes: number;
  qemu: {
    running: boolean;
    on: Place;
    job: { leg: Leg; state: 'running' | 'ready' | 'pivoting' } | undefined;
  };
  foreignJob: boolean;
  daemonUp: boolean;
  persistent: boolean;
  config: Place;
  copies: 'partial' | 'complete';
  live: (Stored & { mark: boolean }) | undefined;
  inConfig: Stored | undefined;
  journal: Stored | undefined;
  process: {
    copying: LayeredWorld['copying'];
    relinked: boolean;
    carrierFresh: boolean;
    lastLeg: Leg | undefined;
    witnessed: LayeredWorld['witnessed'];
    starts: number;
    sides: LayeredWorld['sides'];
    move: MoveRecord | undefined;
  };
  meddled: boolean;
}

export const freshProcess = (): Model['process'] => ({
  copying: 'no',
  relinked: false,
  carrierFresh: false,
  lastLeg: undefined,
  witnessed: 'nothing',
  starts: 0,
  sides: 'not-asked',
  move: undefined,
});

export function newModel(persistent: boolean): Model {
  const absent = (): Image => ({ claim: 'absent', writes: 0, writtenAt: 0n });
  return {
    clock: 0n,
    images: {
      origin: { claim: 'ours', writes: 0, writtenAt: 0n },
      overlay: absent(),
      carrier: absent(),
      destination: absent(),
    },
    acknowledged: 0,
    writes: 0,
    qemu: { running: true, on: 'origin', job: undefined },
    foreignJob: false,
    daemonUp: true,
    persistent,
    config: persistent ? 'origin' : 'none',
    copies: 'partial',
    live: undefined,
    inConfig: undefined,
    journal: undefined,
    process: freshProcess(),
    meddled: false,
  };
}

/** What a guest on this image reads. */
export function viewOf({ images }: Model, place: Place): number {
  switch (place) {
    case 'origin':
      return images.origin.writes;
    case 'overlay':
      return images.origin.writes | images.overlay.writes;
    case 'carrier':
      return images.destination.writes | images.carrier.writes;
    case 'destination':
      return images.destination.writes;
    case 'elsewhere':
    case 'none':
      return 0;
    default:
      return unreachable(place);
  }
}

export function findRecord({ live, inConfig, journal }: Model): Stored | undefined {
  const places = [live, inConfig, journal].filter((place) => place !== undefined);
  return places.toSorted((one, other) => other.revision - one.revision)[0];
}

export function observe(model: Model): LayeredWorld {
  const { qemu, images, process } = model;
  const { running } = qemu;
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
    carrier: images.carrier.claim,
    copyFiles: images.destination.claim,
    writtenAt: Object.fromEntries(
      Object.entries(images).flatMap(([place, { claim, writtenAt }]) =>
        claim === 'absent' ? [] : [[place, writtenAt]],
      ),
    ),
    remains: [images.overlay, images.carrier, images.destination].some(({ claim }) => claim !== 'absent'),
    copies: model.copies,
    answers: 'not-asked',
    qemuWrites: qemuWrites(model),
    sourceRemains: false,
  };
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
  const { images, process } = model;
  switch (step.name) {
    case 'record':
      writeRecord(model, move, decision.phase, decision.goal);
      return false;
    case 'claim-files':
      if (images.overlay.claim !== 'ours') make(model, 'overlay');
      if (images.destination.claim === 'absent') make(model, 'destination');
      return false;
    case 'freeze':
      freeze(model);
      return false;
    case 'copy-layers':
      process.copying = 'running';
      return false;
    case 'stop-copying':
      process.copying = 'no';
      return false;
    case 'relink':
      process.relinked = true;
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
      clear(model, step.what);
      return false;
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

export function writeRecord(model: Model, move: MoveRecord, phase: Phase, goal: Goal): void {
  const revision = (findRecord(model)?.revision ?? 0) + 1;
  const stored: Stored = { phase, goal, revision };
  if (move.use !== undefined && move.phase === phase) stored.use = move.use;
  const mark = mayMark(findRecord(model) ?? move, model.live?.mark === true);
  if (model.qemu.running) model.live = { ...stored, mark };
  if (model.persistent) model.inConfig = { ...stored };
  model.journal = { ...stored };
  const { use: _, ...rest } = move;
  model.process.move = { ...rest, phase, goal, ...(stored.use && { use: stored.use }) };
}

function freeze(model: Model): void {
  if (model.images.overlay.claim !== 'ours') throw new Error('froze without an overlay');
  if (model.qemu.running && !model.foreignJob && model.qemu.on === 'origin') model.qemu.on = 'overlay';
  if (model.config === 'origin') model.config = 'overlay';
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
  write(model, LEGS[leg].to, model.images[LEGS[leg].from].writes);
}

/** Puts writes into an image. */
export function write(model: Model, place: KnownPlace, writes: number): void {
  model.clock += 1n;
  const image = model.images[place];
  image.writes |= writes;
  image.writtenAt = model.clock;
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
  else model.images[LEGS[leg].from] = { claim: 'absent', writes: 0, writtenAt: 0n };
}

function clear(model: Model, what: 'overlays' | 'everything'): void {
  const doomed: KnownPlace[] = [
    'overlay',
    'carrier',
    ...(what === 'everything' ? ['destination' as const] : []),
  ];
  for (const place of doomed) {
    if (model.images[place].claim === 'absent') continue;
    if (model.qemu.running && model.qemu.on === place)
      throw new Error(`removed the ${place} under the guest`);
    if (model.persistent && model.config === place) throw new Error(`removed the ${place} that is defined`);
  }
  const stays = model.qemu.running ? model.qemu.on : model.persistent ? model.config : undefined;
  if (what === 'everything' && stays === 'carrier') throw new Error('removed what the carrier stands on');
  for (const place of doomed) model.images[place] = { claim: 'absent', writes: 0, writtenAt: 0n };
  if (what === 'everything') model.copies = 'partial';
}
