// What can happen around a move: to the guest, the daemons, the storage, and by other people's hands.
import { findRecord, finishPivot, libvirtSeesPivot, type Model } from './model.ts';

type Event = (model: Model) => void;

function guestWrites(model: Model): void {
  if (!model.qemu.running || model.writes >= 30) return;
  const bit = 1 << model.writes;
  model.writes += 1;
  const image = model.qemu.on === 'origin' ? model.origin : model.destination;
  if (model.qemu.on === 'elsewhere') return;
  image.writes |= bit;
  model.acknowledged |= bit;
  const job = model.qemu.job;
  if (job?.synchronous) model.destination.writes |= bit;
}

function mirrorAdvances(model: Model): void {
  const job = model.qemu.job;
  if (job === undefined || !model.qemu.running || model.silent) return;
  model.destination.writes = model.origin.writes;
  if (job.state === 'running') job.state = 'ready';
  else finishPivot(model);
}

function jobFails(model: Model): void {
  if (model.qemu.job === undefined || model.qemu.job.state === 'pivoting') return;
  model.qemu.job = undefined;
  if (model.daemon.up && model.process.move) model.process.witnessed = 'failed';
}

function qemuDies(model: Model): void {
  model.qemu.running = false;
  model.qemu.job = undefined;
  model.qemu.foreignJob = false;
  model.live = undefined;
}

function domainStarts(model: Model): void {
  if (model.qemu.running || !model.persistent) return;
  if (model.config === 'elsewhere') return;
  const image = model.config === 'origin' ? model.origin : model.destination;
  if (image.state === 'absent') return;
  if ((image.writes & model.acknowledged) !== model.acknowledged) model.meddled.staleStart = true;
  model.qemu = { running: true, on: model.config, job: undefined, foreignJob: false };
  model.live = model.inConfig && { ...model.inConfig, mark: false };
}

function daemonStops(model: Model): void {
  model.daemon.up = false;
}

function daemonStarts(model: Model): void {
  model.daemon.up = true;
  if (model.qemu.running) libvirtSeesPivot(model);
}

function otherAborts(model: Model): void {
  const job = model.qemu.job;
  if (job === undefined || job.state === 'pivoting') return;
  model.qemu.job = undefined;
  if (model.process.move) model.process.witnessed = 'canceled';
}

function otherDeletesDestination(model: Model): void {
  if (model.destination.state === 'absent' || model.qemu.on === 'destination') return;
  if (model.qemu.job?.state === 'pivoting' || !model.qemu.running) return;
  model.destination = { state: 'absent', writes: 0, foreign: false };
  model.meddled.deletedDestination = true;
}

/** Somebody defines the domain anew from an old file: the record in the definition is lost. */
function otherRedefines(model: Model): void {
  if (!model.persistent && !model.qemu.running) return;
  model.persistent = true;
  model.config = 'origin';
  model.inConfig = undefined;
  model.meddled.config = true;
}

function otherRedefinesElsewhere(model: Model): void {
  if (!model.persistent) return;
  model.config = 'elsewhere';
  model.inConfig = undefined;
  model.meddled.config = true;
}

function otherWipesMetadata(model: Model): void {
  model.live = undefined;
  model.inConfig = undefined;
  model.meddled.wipedAll = true;
}

function otherStartsJob(model: Model): void {
  if (model.qemu.running && model.qemu.job === undefined) model.qemu.foreignJob = true;
}

function foreignJobEnds(model: Model): void {
  model.qemu.foreignJob = false;
}

function blockferryDies(model: Model): void {
  model.process = { witnessed: 'nothing', starts: 0, sides: 'not-asked', move: undefined };
}

function destinationHangs(model: Model): void {
  model.silent = true;
}

function destinationAnswers(model: Model): void {
  model.silent = false;
}

function operatorAborts(model: Model): void {
  setGoal(model, 'abort');
}

function operatorKeeps(model: Model): void {
  if (model.qemu.job?.state === 'ready') setGoal(model, 'keep');
}

function operatorPivots(model: Model): void {
  if (findRecord(model)?.goal === 'hold') setGoal(model, 'pivot');
}

/** The verbs change the goal where the record stands; a running blockferry reads it from there. */
function setGoal(model: Model, goal: 'abort' | 'keep' | 'pivot'): void {
  for (const place of [model.live, model.inConfig, model.journal]) if (place) place.goal = goal;
}

/** The rarest and worst: QEMU pivots while libvirtd is away, the guest writes on, and QEMU dies unseen. */
function pivotsUnseenAndDies(model: Model): void {
  if (model.qemu.job?.state !== 'pivoting') return;
  daemonStops(model);
  finishPivot(model);
  guestWrites(model);
  qemuDies(model);
  daemonStarts(model);
}

/** Weighted by repetition: a byte of the schedule picks one. */
export const EVENTS: readonly Event[] = [
  guestWrites,
  guestWrites,
  guestWrites,
  mirrorAdvances,
  mirrorAdvances,
  mirrorAdvances,
  mirrorAdvances,
  finishPivot,
  finishPivot,
  finishPivot,
  jobFails,
  qemuDies,
  domainStarts,
  daemonStops,
  daemonStarts,
  daemonStarts,
  pivotsUnseenAndDies,
  pivotsUnseenAndDies,
  otherAborts,
  otherRedefines,
  otherRedefinesElsewhere,
  otherWipesMetadata,
  otherDeletesDestination,
  otherStartsJob,
  foreignJobEnds,
  blockferryDies,
  blockferryDies,
  destinationHangs,
  destinationAnswers,
  operatorAborts,
  operatorKeeps,
  operatorPivots,
];
