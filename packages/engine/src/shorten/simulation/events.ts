// What can happen around a chain that is shortened: to the guest, the daemons, and by other people's hands.
import { findRecord, freshProcess, libvirtSees, type Model, write } from './model.ts';

type Event = (model: Model) => void;

function guestWrites(model: Model): void {
  const { qemu } = model;
  if (!qemu.running || model.writes >= 30) return;
  const bit = 1 << model.writes;
  model.writes += 1;
  model[qemu.on] |= bit;
  model.acknowledged |= bit;
  // An active commit that is ready mirrors.
  if (model.kind === 'active' && qemu.job === 'ready') model.base |= bit;
}

/** The job moves its data; one without a switch is over with it. */
export function jobAdvances(model: Model): void {
  const { qemu, kind } = model;
  if (!qemu.running || qemu.job === undefined) return;
  if (kind === 'active') {
    if (qemu.job === 'pivoting') finishSwitch(model);
    else {
      model.base |= model.top;
      qemu.job = 'ready';
    }
    return;
  }
  if (kind === 'middle') model.base |= model.middle;
  else model.top |= model.middle;
  model.header = 'short';
  qemu.job = undefined;
  model.libvirt.behind = true;
}

/** QEMU carries the order out by itself, whether libvirtd is there to see it or not. */
function finishSwitch(model: Model): void {
  model.base |= model.top;
  model.qemu.on = 'base';
  model.qemu.job = undefined;
  model.libvirt.behind = true;
}

export function libvirtNotices(model: Model): void {
  const { libvirt, qemu, kind } = model;
  if (!libvirt.up || !libvirt.behind) return;
  libvirt.behind = false;
  const switched = kind === 'active' && qemu.running && qemu.on === 'base';
  if (switched && model.config === 'top' && !model.leavesDefinition) model.config = 'base';
}

/** qemu-img is through. */
export function workEnds(model: Model): void {
  const { process, kind } = model;
  if (process.work !== 'running') return;
  if (kind === 'active') model.base |= model.top;
  if (kind === 'middle') model.base |= model.middle;
  if (kind === 'pull') {
    model.top |= model.middle;
    model.header = 'short';
  }
  process.taken = model.top;
  process.work = 'done';
}

function workFails(model: Model): void {
  if (model.process.work === 'running') model.process.work = { failed: 'no room' };
}

function jobFails(model: Model): void {
  if (model.qemu.job === undefined || model.qemu.job === 'pivoting') return;
  // Part of the data may have gone over.
  if (model.kind === 'active') model.base |= model.top & 1;
  model.qemu.job = undefined;
  if (model.libvirt.up && model.process.move) model.process.witnessed = 'failed';
}

function qemuDies(model: Model): void {
  model.qemu = { ...model.qemu, running: false, job: undefined, foreignJob: false };
  model.libvirt = { ...model.libvirt, lost: false, behind: false };
  model.live = undefined;
}

function domainStarts(model: Model): void {
  const { qemu, process, config } = model;
  // The images are locked by a QEMU that runs, or by qemu-img.
  if (qemu.running || !model.persistent || config === 'elsewhere' || process.work === 'running') return;
  if (config === 'top' && model.deleted && model.kind === 'active') return;
  if ((viewFor(model) & model.acknowledged) !== model.acknowledged) model.meddled = true;
  model.qemu = { running: true, on: config, job: undefined, foreignJob: false };
  model.live = model.inConfig && { ...model.inConfig, mark: false };
}

function viewFor(model: Model): number {
  if (model.kind !== 'active') return model.acknowledged;
  return model.config === 'base' ? model.base : model.top;
}

function daemonStops(model: Model): void {
  model.libvirt.up = false;
}

function daemonStarts(model: Model): void {
  model.libvirt.up = true;
  libvirtNotices(model);
}

/** Seen with libvirt 9.0: killed in the middle of a switch, it may come back without the domain. */
function daemonLosesDomain(model: Model): void {
  if (!model.qemu.running || model.qemu.job !== 'pivoting') return;
  finishSwitch(model);
  model.libvirt = { up: true, lost: true, behind: false };
  model.live = undefined;
}

/** The rarest and worst: a switch while libvirtd is away, the guest writes on, and QEMU dies unseen. */
export function switchesUnseenAndDies(model: Model): void {
  if (model.qemu.job !== 'pivoting') return;
  daemonStops(model);
  finishSwitch(model);
  guestWrites(model);
  qemuDies(model);
  daemonStarts(model);
}

function blockferryDies(model: Model): void {
  model.process = freshProcess();
}

function otherAborts(model: Model): void {
  if (model.qemu.job === undefined || model.qemu.job === 'pivoting') return;
  model.qemu.job = undefined;
  if (model.process.move) model.process.witnessed = 'canceled';
}

function otherStartsJob(model: Model): void {
  if (libvirtSees(model) && model.qemu.job === undefined && !model.libvirt.behind)
    model.qemu.foreignJob = true;
}

function foreignJobEnds(model: Model): void {
  model.qemu.foreignJob = false;
}

function otherRedefines(model: Model): void {
  if (!model.persistent) return;
  model.config = 'top';
  model.inConfig = undefined;
  model.meddled = true;
}

function otherRedefinesElsewhere(model: Model): void {
  if (!model.persistent) return;
  model.config = 'elsewhere';
  model.inConfig = undefined;
  model.meddled = true;
}

function operatorAborts(model: Model): void {
  if (findRecord(model) !== undefined && model.libvirt.up) write(model, { goal: 'abort' });
}

function operatorPivots(model: Model): void {
  if (findRecord(model)?.goal === 'hold' && model.libvirt.up) write(model, { goal: 'pivot' });
}

/** Asked which side is the truth, the operator says so: what only the other one holds is given up. */
function operatorAnswers(use: 'source' | 'destination'): Event {
  return function operatorAnswers(model) {
    const { qemu, kind } = model;
    if (kind !== 'active' || findRecord(model)?.phase !== 'pivoting' || !model.libvirt.up) return;
    if (qemu.running && (model.live?.mark === true || qemu.on === 'base')) return;
    if (qemu.job !== undefined || model.config === 'base') return;
    write(model, { use });
    model.acknowledged &= use === 'source' ? model.top : model.base;
  };
}

/** Weighted by repetition: a byte of the schedule picks one. */
export const EVENTS: readonly Event[] = [
  ...[guestWrites, guestWrites, guestWrites],
  ...[jobAdvances, jobAdvances, jobAdvances, jobAdvances],
  ...[libvirtNotices, libvirtNotices, libvirtNotices],
  ...[workEnds, workEnds, workFails, jobFails],
  ...[qemuDies, domainStarts, domainStarts],
  ...[daemonStops, daemonStarts, daemonStarts, daemonLosesDomain],
  ...[switchesUnseenAndDies, switchesUnseenAndDies],
  ...[blockferryDies, blockferryDies],
  ...[otherAborts, otherStartsJob, foreignJobEnds, otherRedefines, otherRedefinesElsewhere],
  ...[operatorAborts, operatorPivots, operatorAnswers('source'), operatorAnswers('destination')],
];
