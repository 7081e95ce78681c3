// What can happen around a layered move: to the guest, the daemons, and by other people's hands.

import { LEGS } from '../../model/layered-world.ts';
import type { Goal } from '../../model/record.ts';
import { legOf } from '../doubt.ts';
import {
  becomeReady,
  findRecord,
  finishSwitch,
  freshProcess,
  isOnNext,
  type Model,
  viewOf,
  write,
} from './model.ts';

export type Event = (model: Model) => void;

export function guestWrites(model: Model): void {
  const { qemu } = model;
  if (!qemu.running || model.stands || model.writes >= 30 || qemu.on === 'none' || qemu.on === 'elsewhere')
    return;
  const bit = 1 << model.writes;
  model.writes += 1;
  if (qemu.on === 'overlay' && qemu.onNext) {
    model.clock += 1n;
    model.next = { ...model.next, writes: model.next.writes | bit, writtenAt: model.clock };
  } else write(model, qemu.on, bit);
  model.acknowledged |= bit;
  // The mirror to the carrier is synchronous.
  if (qemu.job?.leg === 'switch' && qemu.job.state !== 'running') write(model, 'carrier', bit);
}

export function jobAdvances(model: Model): void {
  const { job, running } = model.qemu;
  if (job === undefined || !running) return;
  if (job.state === 'running') becomeReady(model);
  else finishSwitch(model);
}

export function guestOutruns(model: Model): void {
  model.outruns = true;
}

export function jobFails(model: Model): void {
  if (model.qemu.job === undefined || model.qemu.job.state === 'pivoting') return;
  model.qemu.job = undefined;
  if (model.daemonUp && model.process.move) model.process.witnessed = 'failed';
}

export function copyAdvances(model: Model): void {
  if (model.process.copying !== 'running') return;
  model.process.copying = 'no';
  layersCopied(model);
}

/** What is copied is what lies below the overlay. */
export function layersCopied(model: Model): void {
  if (findRecord(model)?.goal === 'keep') throw new Error('copied again what was complete');
  write(model, 'destination', model.images.origin.writes);
  model.frozenCopies = model.frozen.writes;
  model.copies = 'complete';
  model.copiedAt = model.clock;
}

export function copyFails(model: Model): void {
  if (model.process.copying === 'running') model.process.copying = { failed: 'no space' };
}

export function qemuDies(model: Model): void {
  model.qemu.running = false;
  model.qemu.onNext = false;
  model.qemu.job = undefined;
  model.stands = false;
  model.slowed = false;
  model.foreignJob = false;
  model.live = undefined;
}

export function domainStarts(model: Model): void {
  const { config, persistent, qemu } = model;
  if (!persistent || qemu.running || config === 'elsewhere' || config === 'none') return;
  const onNext = config === 'overlay' && model.configOnNext;
  if ((onNext ? model.next : model.images[config]).claim === 'absent') return;
  if ((viewOf(model, config) & model.acknowledged) !== model.acknowledged) model.meddled = true;
  model.qemu = { running: true, on: config, onNext, job: undefined };
  model.live = model.inConfig && { ...model.inConfig, mark: false };
}

export function daemonStops(model: Model): void {
  model.daemonUp = false;
}

export function daemonStarts(model: Model): void {
  if (model.daemonUp) return;
  model.daemonUp = true;
  const leg = legOf(findRecord(model)?.phase ?? 'freezing');
  // It asks QEMU what became of the job that it knew.
  if (model.qemu.running && leg && model.qemu.on === LEGS[leg].to && model.config === LEGS[leg].from)
    model.config = LEGS[leg].to;
}

export function otherAborts(model: Model): void {
  if (model.qemu.job === undefined || model.qemu.job.state === 'pivoting') return;
  model.qemu.job = undefined;
  if (model.process.move) model.process.witnessed = 'canceled';
}

export function otherStartsJob(model: Model): void {
  if (model.qemu.running && model.qemu.job === undefined) model.foreignJob = true;
}

export function foreignJobEnds(model: Model): void {
  model.foreignJob = false;
}

/** From an old file: the record in the definition is lost, and a start would begin from an image left behind. */
export function otherRedefines(model: Model): void {
  if (!model.persistent) return;
  model.leftKnowingly = true;
  model.config = 'origin';
  model.configOnNext = false;
  model.inConfig = undefined;
}

export function otherWipesMetadata(model: Model): void {
  model.live = undefined;
  model.inConfig = undefined;
}

function blockferryDies(model: Model): void {
  model.process = freshProcess();
}

/** QEMU switches while libvirtd is away, the guest writes on, and QEMU dies unseen. */
export function switchesUnseenAndDies(model: Model): void {
  if (model.qemu.job?.state !== 'pivoting') return;
  daemonStops(model);
  finishSwitch(model);
  guestWrites(model);
  qemuDies(model);
  daemonStarts(model);
}

/** QEMU goes to the overlay while libvirtd is away, the guest writes there, and QEMU dies unseen. */
export function freezesUnseenAndDies(model: Model): void {
  const { qemu, process, images, next } = model;
  const again = findRecord(model)?.next === true;
  const ahead = again ? next : images.overlay;
  const isNext = qemu.on === (again ? 'overlay' : 'origin') && !qemu.onNext && process.overlayFresh;
  if (!qemu.running || qemu.job || !isNext || ahead.claim !== 'ours' || model.writes >= 30) return;
  const bit = 1 << model.writes;
  model.writes += 1;
  model.acknowledged |= bit;
  model.clock += 1n;
  ahead.writes |= bit;
  ahead.writtenAt = model.clock;
  qemuDies(model);
}

/** blockferry dies while it makes the overlay, before QEMU could be put on it. */
export function diesMakingOverlay(model: Model): void {
  const { qemu, process, images, next } = model;
  const ahead = findRecord(model)?.next === true ? next : images.overlay;
  if (!process.overlayFresh || ahead.claim !== 'ours' || ahead.writes !== 0 || isOnNext(model)) return;
  if (ahead === images.overlay && (qemu.running ? qemu.on : model.config) !== 'origin') return;
  model.halfMade = true;
  blockferryDies(model);
}

/** libvirtd dies between the freeze of the guest's file systems and their thaw. */
export function daemonDiesInFreeze(model: Model): void {
  model.diesInFreeze = 'before';
}

export function daemonDiesAfterFreeze(model: Model): void {
  model.diesInFreeze = 'after';
}

/** What is complete is not taken back (see changeGoal). */
export function setGoal(model: Model, goal: Goal): void {
  const stored = findRecord(model);
  if (stored === undefined || !model.daemonUp || stored.goal === 'keep') return;
  const changed = { ...stored, goal, revision: stored.revision + 1 };
  if (model.qemu.running) model.live = { ...changed, mark: model.live?.mark ?? false };
  if (model.persistent) model.inConfig = { ...changed };
  model.journal = { ...changed };
}

function operatorAborts(model: Model): void {
  setGoal(model, 'abort');
}

function operatorPivots(model: Model): void {
  if (findRecord(model)?.goal === 'hold') setGoal(model, 'pivot');
}

/** Weighted by repetition: a byte of the schedule picks one. */
export const EVENTS: readonly Event[] = [
  guestWrites,
  guestWrites,
  guestWrites,
  guestWrites,
  jobAdvances,
  jobAdvances,
  jobAdvances,
  jobAdvances,
  jobFails,
  copyAdvances,
  copyAdvances,
  copyAdvances,
  copyFails,
  qemuDies,
  domainStarts,
  domainStarts,
  daemonStops,
  daemonStarts,
  daemonStarts,
  guestOutruns,
  daemonDiesInFreeze,
  daemonDiesAfterFreeze,
  switchesUnseenAndDies,
  freezesUnseenAndDies,
  diesMakingOverlay,
  otherAborts,
  otherStartsJob,
  foreignJobEnds,
  otherRedefines,
  otherWipesMetadata,
  blockferryDies,
  blockferryDies,
  operatorAborts,
  operatorPivots,
];
