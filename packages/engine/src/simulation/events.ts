// What can happen around a move: to the guest, the daemons, the storage, and by other people's hands.
import type { Goal } from '../model/record.ts';
import { changeRecord, finishPivot, libvirtSeesPivot } from './acting.ts';
import { type Blindness, findRecord, type Model } from './model.ts';

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
  model.daemon.blind = undefined;
}

function domainStarts(model: Model): void {
  const { running, on } = model.qemu;
  if (!model.persistent || model.config === 'elsewhere') return;
  if (running) {
    // A second QEMU for a domain that libvirt has lost: the lock of the first keeps it from the image it is on.
    if (model.daemon.blind !== 'domain' || model.config === on) return;
    model.meddled.staleStart = true;
    qemuDies(model);
  }
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

/** It had ordered the pivot, QEMU did it, and libvirtd died before it had cleaned up: seen with libvirt 9.0. */
function daemonDiesInPivot(blind: Blindness): Event {
  return function daemonDiesInPivot(model) {
    if (model.qemu.job?.state !== 'pivoting' || !model.daemon.up || model.silent) return;
    daemonStops(model);
    finishPivot(model);
    model.daemon.up = true;
    model.daemon.blind = blind;
    if (blind === 'domain') model.live = undefined;
  };
}

/** Seen with libvirt 9.0: an undefined domain with a block job is persistent again after a restart of its daemon. */
export function daemonRevivesDefinition(model: Model): void {
  if (model.persistent || model.saved === undefined || !model.qemu.running || !model.daemon.up) return;
  model.persistent = true;
  model.config = model.daemon.blind === undefined ? model.qemu.on : 'origin';
  const { synchronousWrites = false, goal = 'pivot' } = model.live ?? {};
  model.inConfig = { phase: 'copying', goal, synchronousWrites, revision: 1 };
}

/** It had told QEMU to copy, and had not written it down. */
function daemonDiesInStart(model: Model): void {
  if (model.qemu.job?.state === 'running' && model.daemon.blind === undefined) model.qemu.job.unshown = true;
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
  const { running, job } = model.qemu;
  if (running && job === undefined && model.daemon.blind === undefined) model.qemu.foreignJob = true;
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

/** The verbs write the changed intent to every place of the record; a running blockferry reads it there. */
function setGoal(model: Model, goal: Goal): void {
  changeRecord(model, { goal });
}

/** Asked which side is the truth, the operator says so: what only the other one holds is given up. */
function operatorAnswers(use: 'source' | 'destination'): Event {
  return function operatorAnswers(model) {
    if (findRecord(model)?.phase !== 'pivoting' || model.qemu.on === 'destination') return;
    if (model.qemu.running && model.live?.mark === true) return;
    // Nobody is asked while the copy is there, and an answer that was not asked for is refused.
    if (model.qemu.job !== undefined) return;
    changeRecord(model, { use });
    const chosen = use === 'source' ? model.origin : model.destination;
    model.acknowledged &= chosen.writes;
  };
}

/** The rarest and worst: QEMU pivots while libvirtd is away, the guest writes on, and QEMU dies unseen. */
export function pivotsUnseenAndDies(model: Model): void {
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
  daemonDiesInPivot('domain'),
  daemonDiesInPivot('mirror'),
  daemonDiesInPivot('pivot'),
  daemonRevivesDefinition,
  daemonDiesInStart,
  operatorAnswers('source'),
  operatorAnswers('destination'),
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
