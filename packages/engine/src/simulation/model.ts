// A model of libvirt, QEMU, the files and blockferry's own process, small enough to run 100,000 times.
// Only tests use it. What it claims about the real ones is checked by the *.real.test.ts files.
import type { Decision, Step } from '../model/decision.ts';
import {
  type Goal,
  type JobMode,
  type MoveRecord,
  mayHavePivoted,
  mayMark,
  type Phase,
} from '../model/record.ts';
import { unreachable } from '../model/units.ts';
import type { Side, Stamp, World } from '../model/world.ts';

/** A stored copy of the record. */
interface Stored {
  phase: Phase;
  goal: Goal;
  use?: 'source' | 'destination';
  synchronousWrites: boolean;
  revision: number;
}

interface Image {
  /** `empty`: claimed; `data`: something was written to it. */
  state: 'absent' | 'empty' | 'data';
  /** Bit n is set when the guest's n-th write is in it. */
  writes: number;
  /** Somebody else's file under our name. */
  foreign: boolean;
  /** A mirror at ready was canceled onto it: complete as of that instant. */
  pointInTime?: boolean;
}

type JobState = 'running' | 'ready' | 'pivoting';

/**
 * libvirtd died in the middle of a pivot, and came back without the domain, with a mirror that is none, or with a live
 * definition from before the pivot.
 */
export type Blindness = 'domain' | 'mirror' | 'pivot';

export interface Model {
  jobMode: JobMode;
  /** The destination existed before and is not ours to remove. */
  reused: boolean;
  /** This libvirt does not correct the persistent definition after a pivot. */
  leavesDefinition: boolean;
  /** Bit n is set when the guest saw its n-th write acknowledged. */
  acknowledged: number;
  writes: number;
  qemu: {
    running: boolean;
    on: Side;
    /** `unshown`: a libvirtd died as it began the copy, and the next one does not know where it goes. */
    job: { state: JobState; synchronous: boolean; unshown?: boolean } | undefined;
    foreignJob: boolean;
  };
  daemon: { up: boolean; blind: Blindness | undefined };
  persistent: boolean;
  config: Side;
  origin: Image;
  destination: Image;
  silent: boolean;
  live: (Stored & { mark: boolean }) | undefined;
  inConfig: Stored | undefined;
  journal: (Stored & { claimed: boolean }) | undefined;
  saved: Side | undefined;
  process: {
    witnessed: World['witnessed'];
    starts: number;
    sides: World['sides'];
    move: MoveRecord | undefined;
  };
  /** Set when somebody other than blockferry and libvirt chose another disk or a stale start. */
  meddled: { config: boolean; staleStart: boolean; wipedAll: boolean; deletedDestination: boolean };
}

export function newModel(jobMode: JobMode, reused: boolean, leavesDefinition: boolean): Model {
  const persistent = jobMode !== 'plain';
  return {
    jobMode,
    reused,
    leavesDefinition,
    acknowledged: 0,
    writes: 0,
    qemu: { running: true, on: 'origin', job: undefined, foreignJob: false },
    daemon: { up: true, blind: undefined },
    persistent,
    config: persistent ? 'origin' : 'none',
    origin: { state: 'data', writes: 0, foreign: false },
    destination: { state: reused ? 'data' : 'absent', writes: 0, foreign: false },
    silent: false,
    live: undefined,
    inConfig: undefined,
    journal: undefined,
    saved: undefined,
    process: { witnessed: 'nothing', starts: 0, sides: 'not-asked', move: undefined },
    meddled: { config: false, staleStart: false, wipedAll: false, deletedDestination: false },
  };
}

/** Does libvirt know that QEMU runs? */
export function libvirtSees(model: Model): boolean {
  return model.qemu.running && model.daemon.blind !== 'domain';
}

export function observe(model: Model, move: MoveRecord): World {
  const running = libvirtSees(model);
  const gone = !running && !model.persistent;
  const stamp = (stored: Stored | undefined): Stamp | undefined =>
    stored && { phase: stored.phase, goal: stored.goal };
  return {
    domain: running ? 'running' : gone ? 'gone' : 'off',
    persistent: model.persistent,
    live: running ? liveDefinition(model) : 'none',
    config: model.persistent ? model.config : 'none',
    job: observedJob(model),
    recorded: {
      live: running ? stamp(model.live) : 'unavailable',
      config: model.persistent ? stamp(model.inConfig) : 'unavailable',
      journal: stamp(model.journal),
    },
    sameInstance: model.live?.mark === true,
    destination: observedDestination(model),
    answers: model.qemu.job ? (model.silent ? 'silent' : 'yes') : 'not-asked',
    qemuWrites: qemuWrites(model),
    savedDefinition: model.saved !== undefined,
    sourceRemains: running && liveDefinition(model) === 'destination' && model.origin.state !== 'absent',
    sides: model.process.sides,
    witnessed: model.process.witnessed,
    diverging: model.qemu.job?.state === 'running' && !model.qemu.job.synchronous && move.options.converge,
    starts: model.process.starts,
  };
}

/** A blind libvirtd has not seen that QEMU has pivoted. */
function liveDefinition(model: Model): Side {
  return model.daemon.blind === undefined ? model.qemu.on : 'origin';
}

function qemuWrites(model: Model): World['qemuWrites'] {
  const { qemu, daemon } = model;
  if (!qemu.running) return 'nobody';
  const phase = findRecord(model)?.phase ?? 'copying';
  const suspect = qemu.job === undefined && liveDefinition(model) === 'origin' && mayHavePivoted({ phase });
  if (daemon.blind === undefined && !suspect) return 'not-asked';
  return qemu.on === 'origin' || qemu.on === 'destination' ? qemu.on : 'unclear';
}

function observedJob(model: Model): World['job'] {
  const { job, foreignJob } = model.qemu;
  if (!libvirtSees(model)) return { kind: 'none' };
  if (model.daemon.blind === 'mirror') return { kind: 'ours', state: 'missing', cur: 0n, end: 0n };
  if (job?.unshown) return { kind: 'ours', state: 'unshown', cur: 0n, end: 0n };
  if (job) return { kind: 'ours', state: job.state, cur: 0n, end: 0n };
  return foreignJob ? { kind: 'foreign', what: 'commit' } : { kind: 'none' };
}

function observedDestination(model: Model): World['destination'] {
  const { state, foreign } = model.destination;
  if (state === 'absent') return 'absent';
  if (model.reused && !foreign) return 'ours';
  if (foreign || model.journal?.claimed !== true) return 'foreign';
  return state === 'empty' ? 'claimed' : 'ours';
}

/** What blockferry finds when it starts anew: the record that was written last. */
export function findRecord(model: Model): Stored | undefined {
  const places = [model.live, model.inConfig, model.journal].filter((place) => place !== undefined);
  return places.toSorted((one, other) => other.revision - one.revision)[0];
}

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

export type { Step };
