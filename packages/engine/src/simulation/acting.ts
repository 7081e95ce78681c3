// What each step changes on the model, and what QEMU and libvirt do by themselves.
import type { Decision } from '../model/decision.ts';
import { type Goal, type MoveRecord, mayMark, type Phase } from '../model/record.ts';
import { unreachable } from '../model/units.ts';
import { findRecord, libvirtSees, type Model, type Stored } from './model.ts';

/** Carries a decision out on the model. Returns true when the move has ended with it. */
export function act(model: Model, move: MoveRecord, decision: Decision & { kind: 'act' }): boolean {
  const step = decision.step;
  switch (step.name) {
    case 'record':
      writeRecord(model, move, decision.phase, decision.goal);
      return false;
    case 'restart-synchronously':
      writeRecord(
        model,
        { ...move, options: { ...move.options, synchronousWrites: true } },
        decision.phase,
        decision.goal,
      );
      cancelJob(model);
      return false;
    case 'claim-destination':
      if (model.destination.state !== 'absent') return false;
      model.destination = { state: 'empty', writes: 0, foreign: false };
      if (model.journal) model.journal.claimed = true;
      return false;
    case 'undefine':
      model.saved = model.config;
      model.persistent = false;
      model.inConfig = undefined;
      return false;
    case 'start-copy':
      startCopy(model, step.synchronousWrites);
      return false;
    case 'pivot':
      orderPivot(model);
      return false;
    case 'cancel-job':
      cancelJob(model);
      return false;
    case 'discard-copy':
      discardCopy(model);
      return false;
    case 'restore-definition':
      if (model.saved === undefined) return false;
      model.persistent = true;
      model.config = model.saved === 'elsewhere' ? 'elsewhere' : step.on;
      return false;
    case 'fix-definition':
      if (model.persistent) model.config = step.on;
      return false;
    case 'delete-source':
      if (model.qemu.on !== 'origin' && model.config !== 'origin')
        model.origin = { state: 'absent', writes: 0, foreign: false };
      return false;
    case 'compare-sides':
      if (model.qemu.running) throw new Error('compared the images of a running domain');
      model.process.sides = model.origin.writes === model.destination.writes ? 'same' : 'differ';
      return false;
    case 'close':
      model.live = undefined;
      model.inConfig = undefined;
      model.journal = undefined;
      model.saved = undefined;
      return true;
    default:
      return unreachable(step);
  }
}

function writeRecord(model: Model, move: MoveRecord, phase: Phase, goal: Goal): void {
  const revision = (findRecord(model)?.revision ?? 0) + 1;
  const stored: Stored = { phase, goal, synchronousWrites: move.options.synchronousWrites, revision };
  // An answer is for one question; see act.ts.
  if (move.use !== undefined && move.phase === phase) stored.use = move.use;
  const mark = mayMark(findRecord(model) ?? move, model.live?.mark === true);
  if (libvirtSees(model)) model.live = { ...stored, mark };
  if (model.persistent) model.inConfig = { ...stored };
  model.journal = { ...stored, claimed: model.journal?.claimed ?? false };
  const { use: _, ...rest } = move;
  model.process.move = { ...rest, phase, goal, ...(stored.use && { use: stored.use }) };
}

/** What `changeGoal` does: the record as it stands, with the change, to every place. */
export function changeRecord(model: Model, change: Partial<Pick<Stored, 'goal' | 'use'>>): void {
  const stored = findRecord(model);
  if (stored === undefined || !model.daemon.up) return;
  const mark = mayMark(stored, model.live?.mark === true);
  const changed = { ...stored, ...change, revision: stored.revision + 1 };
  if (libvirtSees(model)) model.live = { ...changed, mark };
  if (model.persistent) model.inConfig = { ...changed };
  model.journal = { ...changed, claimed: model.journal?.claimed ?? false };
}

function startCopy(model: Model, synchronous: boolean): void {
  const refused =
    !libvirtSees(model) ||
    model.daemon.blind !== undefined ||
    model.qemu.job ||
    model.qemu.foreignJob ||
    model.qemu.on !== 'origin';
  if (refused) return;
  if (model.jobMode === 'undefine' && model.persistent) return;
  if (model.destination.state === 'data' && !model.reused)
    throw new Error('started a copy onto a file with contents');
  model.destination.state = 'data';
  model.destination.writes = 0;
  model.destination.pointInTime = false;
  model.qemu.job = { state: 'running', synchronous };
  model.process.witnessed = 'nothing';
  model.process.starts += 1;
}

function orderPivot(model: Model): void {
  if (model.qemu.job?.state !== 'ready' || model.qemu.job.unshown) return;
  if (model.silent) throw new Error('pivoted onto a destination that was known to be silent');
  if (model.destination.state === 'absent') throw new Error('pivoted onto a file whose name is gone');
  model.qemu.job.state = 'pivoting';
}

/** QEMU carries the order out by itself, whether libvirtd is there to see it or not. */
export function finishPivot(model: Model): void {
  if (!model.qemu.running || model.qemu.job?.state !== 'pivoting' || model.silent) return;
  model.destination.writes = model.origin.writes;
  model.qemu.job = undefined;
  model.qemu.on = 'destination';
  if (model.daemon.up) libvirtSeesPivot(model);
}

/** libvirt corrects the persistent definition only if it named the same source as the live one. */
export function libvirtSeesPivot(model: Model): void {
  if (model.leavesDefinition) return;
  if (model.persistent && model.config === 'origin' && model.qemu.on === 'destination')
    model.config = 'destination';
}

function cancelJob(model: Model): void {
  const job = model.qemu.job;
  if (job === undefined || job.state === 'pivoting') return;
  if (model.silent) throw new Error('canceled a mirror whose destination hangs: the guest waits with it');
  if (job.state === 'ready') {
    model.destination.writes = model.origin.writes;
    model.destination.pointInTime = true;
  }
  model.qemu.job = undefined;
  model.process.witnessed = 'canceled-by-us';
}

function discardCopy(model: Model): void {
  const inUse = model.qemu.job !== undefined || (model.qemu.running && model.qemu.on === 'destination');
  if (inUse) throw new Error('discarded an image in use');
  if (model.persistent && model.config === 'destination')
    throw new Error('discarded an image that a definition names');
  const onlyThere = model.acknowledged & model.destination.writes & ~model.origin.writes;
  if (onlyThere !== 0) throw new Error('threw away acknowledged writes unasked');
  if (model.destination.foreign || model.reused) throw new Error("discarded somebody else's file");
  model.destination = { state: 'absent', writes: 0, foreign: false };
  if (model.journal) model.journal.claimed = false;
}
