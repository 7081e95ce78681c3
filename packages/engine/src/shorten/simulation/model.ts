// A model of a chain that is shortened, with libvirt, QEMU, qemu-img and blockferry's own process. Only tests use it.
//
// Three images: `top`, where the guest is; `middle`, which leaves the chain; `base`. With an active commit it is `top` that
// leaves, and `base` that the guest is switched to. What each holds is a set of writes.
import type { Decision, ShortenStep } from '../../model/decision.ts';
import { type Goal, type MoveRecord, mayMark, type Phase } from '../../model/record.ts';
import { unreachable } from '../../model/units.ts';
import type { Job, JobState, ShortenWorld, Side, Stamp } from '../../model/world.ts';

export type Kind = 'active' | 'middle' | 'pull';

interface Stored {
  phase: Phase;
  goal: Goal;
  use?: 'source' | 'destination';
  revision: number;
}

type Place = 'top' | 'base';

export interface Model {
  readonly kind: Kind;
  /** This libvirt does not correct the persistent definition after a switch. */
  readonly leavesDefinition: boolean;
  persistent: boolean;
  /** Bit n is set when the n-th write is in it; bit 0 is in the image that leaves, from before. */
  top: number;
  middle: number;
  base: number;
  deleted: boolean;
  /** Of a commit from the middle and a pull: what the header says. */
  header: 'long' | 'short';
  qemu: {
    running: boolean;
    on: Place;
    job: JobState | undefined;
    foreignJob: boolean;
  };
  /** `lost`: it came back without the domain, which runs. `behind`: it has not noticed yet that QEMU is through. */
  libvirt: { up: boolean; lost: boolean; behind: boolean };
  config: Place | 'elsewhere';
  acknowledged: number;
  writes: number;
  live: (Stored & { mark: boolean }) | undefined;
  inConfig: Stored | undefined;
  journal: Stored | undefined;
  process: {
    witnessed: ShortenWorld['witnessed'];
    starts: number;
    sides: ShortenWorld['sides'];
    jobSeen: boolean;
    /** --delete has been through. */
    sourcesSeenTo: boolean;
    work: ShortenWorld['offline'];
    /** What `top` held when its data was taken. */
    taken: number | undefined;
    move: MoveRecord | undefined;
  };
  meddled: boolean;
}

export function newModel({
  kind,
  persistent,
  running,
  leavesDefinition,
}: Pick<Model, 'kind' | 'persistent' | 'leavesDefinition'> & { readonly running: boolean }): Model {
  return {
    kind,
    leavesDefinition,
    persistent,
    top: kind === 'active' ? 1 : 0,
    middle: kind === 'active' ? 0 : 1,
    base: 0,
    deleted: false,
    header: 'long',
    qemu: { running, on: 'top', job: undefined, foreignJob: false },
    libvirt: { up: true, lost: false, behind: false },
    config: 'top',
    acknowledged: 1,
    writes: 1,
    live: undefined,
    inConfig: undefined,
    journal: undefined,
    process: freshProcess(),
    meddled: false,
  };
}

export function freshProcess(): Model['process'] {
  return {
    witnessed: 'nothing',
    starts: 0,
    sides: 'not-asked',
    jobSeen: false,
    sourcesSeenTo: false,
    work: 'no',
    taken: undefined,
    move: undefined,
  };
}

/** What a guest reads that is on this image; of another than those of the record nothing is known. */
export function viewFrom(model: Model, place: Place): number {
  const { kind, header, top, middle, base } = model;
  if (kind === 'active') return place === 'base' ? base : model.deleted ? 0 : top;
  if (header === 'long') return model.deleted ? top : top | middle;
  return kind === 'middle' ? top | base : top;
}

export function libvirtSees({ qemu, libvirt }: Model): boolean {
  return qemu.running && !libvirt.lost;
}

export function observe(model: Model): ShortenWorld {
  const { qemu, libvirt, process } = model;
  const running = libvirtSees(model);
  const stamp = (stored: Stored | undefined): Stamp | undefined =>
    stored && { phase: stored.phase, goal: stored.goal };
  const live = running ? liveSide(model) : 'none';
  return {
    domain: running ? 'running' : model.persistent ? 'off' : 'gone',
    persistent: model.persistent,
    live,
    config: model.persistent ? configSide(model, live) : 'none',
    job: jobOf(model, live),
    recorded: {
      live: running ? stamp(model.live) : 'unavailable',
      config: model.persistent ? stamp(model.inConfig) : 'unavailable',
      journal: stamp(model.journal),
    },
    sameInstance: model.live?.mark === true,
    destination: 'unknown',
    answers: 'not-asked',
    qemuWrites: qemuWrites(model, live),
    savedDefinition: false,
    sourceRemains: (live === 'destination' || live === 'none') && !model.deleted && !process.sourcesSeenTo,
    sides: process.sides,
    witnessed: process.witnessed,
    diverging: false,
    starts: process.starts,
    offline: process.work,
  };

  function qemuWrites(of: Model, side: Side): ShortenWorld['qemuWrites'] {
    if (process.work === 'running') return 'not-asked';
    const on = of.qemu.on === 'base' ? 'destination' : 'origin';
    if (!running) return qemu.running ? on : 'nobody';
    const phase = findRecord(of)?.phase;
    const suspect =
      side === 'origin' && qemu.job === undefined && (phase === 'pivoting' || phase === 'settling');
    return libvirt.behind || suspect ? on : 'not-asked';
  }
}

/** What libvirt shows; for a moment after the end of a job, and until it notices, that is as before. */
function liveSide({ kind, qemu, header, libvirt }: Model): Side {
  if (libvirt.behind) return 'origin';
  const isShort = kind === 'active' ? qemu.on === 'base' : header === 'short';
  return isShort ? 'destination' : 'origin';
}

function configSide({ kind, config, header }: Model, live: Side): Side {
  if (config === 'elsewhere') return 'elsewhere';
  if (kind === 'active') return config === 'base' ? 'destination' : 'origin';
  if (live === 'origin') return 'origin';
  return live === 'destination' || header === 'short' ? 'destination' : 'origin';
}

function jobOf(model: Model, live: Side): Job {
  const { qemu, process } = model;
  if (!libvirtSees(model)) return { kind: 'none' };
  if (qemu.foreignJob) return { kind: 'foreign', what: 'copy' };
  if (qemu.job !== undefined) {
    process.jobSeen = true;
    return { kind: 'ours', state: qemu.job, cur: 0n, end: 0n };
  }
  const missing =
    live === 'origin' && process.jobSeen && process.witnessed === 'nothing' && model.libvirt.behind;
  return missing ? { kind: 'ours', state: 'missing', cur: 0n, end: 0n } : { kind: 'none' };
}

export function findRecord(model: Model): Stored | undefined {
  const places = [model.live, model.inConfig, model.journal].filter((place) => place !== undefined);
  return places.toSorted((one, other) => other.revision - one.revision)[0];
}

/** Carries a decision out. Returns true when it has ended. */
export function act(
  model: Model,
  move: MoveRecord,
  decision: Decision<ShortenStep> & { kind: 'act' },
): boolean {
  const { step } = decision;
  switch (step.name) {
    case 'record':
      write(model, { phase: decision.phase, goal: decision.goal, use: move.use });
      return false;
    case 'start-job':
      startJob(model);
      return false;
    case 'pivot':
      if (model.qemu.job === 'ready') model.qemu.job = 'pivoting';
      return false;
    case 'cancel-job':
      if (model.qemu.job === undefined || model.qemu.job === 'pivoting') return false;
      if (model.qemu.job === 'ready') model.base |= model.top;
      model.qemu.job = undefined;
      model.process.witnessed = 'canceled-by-us';
      return false;
    case 'work-offline':
      if (model.qemu.running) throw new Error('began to work on images that QEMU has open');
      model.process.work = 'running';
      model.process.starts += 1;
      return false;
    case 'stop-offline':
      model.process.work = 'no';
      return false;
    case 'finish-offline':
      finishOffline(model);
      return false;
    case 'fix-definition':
      if (model.persistent && model.kind === 'active')
        model.config = step.on === 'destination' ? 'base' : 'top';
      return false;
    case 'compare-sides':
      if (model.qemu.running) throw new Error('compared the images of a running domain');
      model.process.sides = model.top === model.base ? 'same' : 'differ';
      return false;
    case 'delete-source':
      deleteSource(model);
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

function startJob(model: Model): void {
  const { qemu, process } = model;
  if (process.work === 'running') throw new Error('ordered a job on images that qemu-img works on');
  process.starts += 1;
  const refused = !libvirtSees(model) || qemu.foreignJob || qemu.job !== undefined || model.libvirt.behind;
  if (refused) return;
  process.witnessed = 'nothing';
  process.jobSeen = true;
  qemu.job = 'running';
}

/** In act/offline.ts it is the same: nothing is done for a domain that runs, or has written since. */
function finishOffline(model: Model): void {
  const { process, qemu } = model;
  const { taken, work } = process;
  process.work = 'no';
  process.taken = undefined;
  if (work !== 'done') throw new Error('finished work that is not done');
  if (qemu.running || model.kind === 'pull') return;
  if (model.kind === 'middle') model.header = 'short';
  else if (model.top === taken && model.persistent) model.config = 'base';
}

/** What anybody still uses is kept, as readUsage finds it. */
function deleteSource(model: Model): void {
  const { kind, qemu, config, header } = model;
  model.process.sourcesSeenTo = true;
  const isUsed =
    kind === 'active' ? (qemu.running && qemu.on === 'top') || config === 'top' : header === 'long';
  if (isUsed) return;
  model.deleted = true;
}

/** To every place of the record; also what the verbs do. */
export function write(
  model: Model,
  change: {
    readonly phase?: Phase;
    readonly goal?: Goal;
    readonly use?: 'source' | 'destination' | undefined;
  },
): void {
  const before = findRecord(model) ?? { phase: 'copying', goal: 'pivot', revision: 0 };
  const { use: _, ...rest } = before;
  const changed: Stored = { ...rest, revision: before.revision + 1 };
  if (change.phase !== undefined) changed.phase = change.phase;
  if (change.goal !== undefined) changed.goal = change.goal;
  if (change.use !== undefined && changed.phase === before.phase) changed.use = change.use;
  const mark = mayMark(findRecord(model) ?? { phase: 'copying' }, model.live?.mark === true);
  if (libvirtSees(model)) model.live = { ...changed, mark };
  if (model.persistent) model.inConfig = { ...changed };
  model.journal = { ...changed };
}
