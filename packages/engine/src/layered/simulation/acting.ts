// What each step does to the model, and what no step may do.
import type { Decision, LayeredStep } from '../../model/decision.ts';
import { type KnownPlace, LEGS, type Leg } from '../../model/layered-world.ts';
import { type Goal, type MoveRecord, mayMark, type Phase } from '../../model/record.ts';
import { unreachable } from '../../model/units.ts';
import {
  absent,
  copyAlong,
  findRecord,
  isOnNext,
  latest,
  type Model,
  make,
  type Stored,
  viewOf,
} from './model.ts';

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
      if (step.place === 'overlay' && model.halfMade && !findRecord(model)?.next)
        throw new Error('defined on what no QEMU can open');
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
  if (phase === 'copying') model.leftKnowingly = true;
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
    if (model.next.writes !== 0) throw new Error('remade an overlay that holds what the guest wrote');
    model.clock += 1n;
    model.next = { claim: 'ours', writes: 0, writtenAt: model.clock };
    model.halfMade = false;
    process.overlayFresh = true;
  } else if (place === 'origin') {
    if (images.overlay.writes !== 0) throw new Error('remade an overlay that holds what the guest wrote');
    make(model, 'overlay');
    model.halfMade = false;
    process.overlayFresh = true;
  }
  if (images.destination.claim === 'absent') make(model, 'destination');
  if (qemu.running && model.live) model.live.mark = true;
}

function freeze(model: Model): void {
  const { qemu, images, process } = model;
  const again = findRecord(model)?.next === true;
  const ahead = again ? model.next : images.overlay;
  if (ahead.claim !== 'ours' || model.halfMade) throw new Error('froze without an overlay');
  const below = again ? images.overlay : images.origin;
  if (!qemu.running && ahead.writes !== 0 && below.writtenAt > ahead.writtenAt)
    throw new Error('put an overlay over what was written since');
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
  const { overlay, origin } = model.images;
  if (!model.leftKnowingly && (overlay.writes & ~origin.writes) !== 0)
    throw new Error('removed an overlay that holds what the guest wrote unseen');
  for (const place of doomed) model.images[place] = absent();
  model.next = absent();
  model.frozen = absent();
  model.frozenCopies = 0;
  model.copiedAt = undefined;
  if (what === 'everything') model.copies = 'partial';
}
