// Several disks of one modelled domain, moved as one: they share QEMU, the daemon, the guest's pause and the process.
import type { Outcome, Question } from '../../../model/decision.ts';
import type { Goal, MoveRecord } from '../../../model/record.ts';
import type { LayeredDecision } from '../../decide.ts';
import { act, writeRecord } from '../../simulation/acting.ts';
import { layersCopied } from '../../simulation/events.ts';
import {
  becomeReady,
  findRecord,
  finishSwitch,
  freshProcess,
  type Model,
  newModel,
} from '../../simulation/model.ts';
import { observe } from '../../simulation/observing.ts';
import type { GroupView } from '../view.ts';

export type DecideGroup = (view: GroupView) => readonly LayeredDecision[];
export type Ending =
  | Outcome
  | { readonly kind: 'ask'; readonly question: Question }
  | { readonly kind: 'stuck' };

export type Scenario = {
  readonly count: number;
  readonly persistent: boolean;
  readonly goal: Goal;
  readonly pause: boolean;
  readonly grows: number;
  readonly from: string;
};

export interface Fleet {
  readonly disks: readonly Model[];
  readonly fresh: readonly MoveRecord[];
  /** Whose pause it is that the guest stands still by. */
  paused: 'no' | 'ours' | 'theirs';
  /** Grows with each start of the domain. */
  instance: number;
  pauseRecorded: number | undefined;
  /** The next pause is recorded and not carried out: the process dies between the two. */
  diesInPause: boolean;
  ambiguous: boolean;
  /** How a disk ended: once all have, nothing but their images tells. */
  closed: Outcome | undefined;
  process: {
    /** Disks whose move this process knows, and how those ended that have. */
    seats: readonly number[];
    ended: Map<number, Outcome>;
    held: boolean;
    tried: boolean;
  };
}

const file = (path: string) => ({ source: { kind: 'file', path }, format: 'qcow2' }) as const;

/** @param grows how often the overlay of each disk grows past what a mirror is left with */
export function newFleet(
  count: number,
  { persistent, goal, pause, grows }: Pick<Scenario, 'persistent' | 'goal' | 'pause' | 'grows'>,
): Fleet {
  const names = ['vda', 'vdb', 'vdc'].slice(0, count);
  const fresh = names.map((disk) => newMove(disk, names, goal, pause));
  const disks = fresh.map((move) => {
    const model = newModel(persistent, grows);
    model.process.move = move;
    return model;
  });
  const process = { seats: disks.map((_, at) => at), ended: new Map(), held: false, tried: false };
  return {
    disks,
    fresh,
    paused: 'no',
    instance: 1,
    pauseRecorded: undefined,
    diesInPause: false,
    ambiguous: false,
    closed: undefined,
    process,
  };
}

function newMove(disk: string, disks: readonly string[], goal: Goal, pause: boolean): MoveRecord {
  const [origin, destination] = [file(`/${disk}/a`), file(`/${disk}/d`)];
  return {
    version: 1,
    id: disk,
    domain: { name: 'vm', uuid: '00000000-0000-0000-0000-000000000000' },
    disk,
    strategy: 'layered',
    layered: {
      layers: [{ from: origin, to: destination, how: 'bytes' }],
      overlay: file(`/${disk}/a.overlay`),
      carrier: file(`/${disk}/d.carrier`),
      verify: true,
    },
    group: { id: 'group', disks, pause },
    scope: 'chain',
    origin,
    destination,
    ownership: { kind: 'created' },
    sources: [origin],
    jobMode: 'transient-job',
    options: { synchronousWrites: false, converge: false, deleteSource: false },
    destinationXml: '<disk/>',
    ...(goal === 'copy' && { copy: { quiesce: 'auto' } as const }),
    phase: 'freezing',
    goal,
  };
}

/** The process dies, and another begins with what records there are. */
export function restart(fleet: Fleet): void {
  for (const model of fleet.disks) model.process = freshProcess();
  const seats = fleet.disks.flatMap((model, at) => (findRecord(model) === undefined ? [] : [at]));
  fleet.process = { seats, ended: new Map(), held: false, tried: false };
}

const BRAKE = { level: 1, rate: 100n, before: {} };
const FROZEN = { from: file('/frozen'), to: file('/copy'), how: 'bytes' } as const;

function moveOf(fleet: Fleet, at: number): MoveRecord | undefined {
  const [model, fresh] = [fleet.disks[at], fleet.fresh[at]];
  if (model === undefined || fresh === undefined) return undefined;
  const move = storedMove(model, fresh) ?? model.process.move;
  if (move?.group === undefined || at !== 0 || fleet.pauseRecorded === undefined) return move;
  return { ...move, group: { ...move.group, paused: fleet.pauseRecorded } };
}

function storedMove(model: Model, fresh: MoveRecord): MoveRecord | undefined {
  const stored = findRecord(model);
  if (stored === undefined || fresh.layered === undefined) return undefined;
  const { phase, goal, use, rounds, next, quiescing, braked } = stored;
  const layered = {
    ...fresh.layered,
    rounds: Array.from({ length: rounds }, () => FROZEN),
    ...(next && { next: file(`/${fresh.disk}/next`) }),
  };
  const copy = fresh.copy && { ...fresh.copy, ...(quiescing && { quiescing }) };
  return {
    ...fresh,
    layered,
    ...(copy && { copy }),
    ...(braked && { brake: BRAKE }),
    phase,
    goal,
    ...(use && { use }),
  };
}

interface Sitting {
  readonly at: number;
  readonly model: Model;
  readonly move: MoveRecord;
}

function sitting(fleet: Fleet): Sitting[] {
  const { seats, ended } = fleet.process;
  return seats.flatMap((at) => {
    const [model, move] = [fleet.disks[at], moveOf(fleet, at)];
    return ended.has(at) || model === undefined || move === undefined ? [] : [{ at, model, move }];
  });
}

/** One look at all and one step. Returns the endings when the loop is over, `stuck` for each disk that waits. */
export function oneStep(decide: DecideGroup, fleet: Fleet, trace: unknown[]): Ending[] | 'waits' | undefined {
  const { disks, process } = fleet;
  if (disks.some(({ daemonUp }) => !daemonUp)) return undefined;
  const open = sitting(fleet);
  if (open.length === 0) {
    return process.seats.length === 0
      ? [fleet.closed ?? { kind: 'back', why: 'nothing was begun' }]
      : [...process.ended.values()];
  }
  const decisions = decide(viewOf(fleet, open));
  trace.push(decisions);
  const at = decisions.findIndex(({ kind }) => kind === 'act');
  const [one, decision] = [open[at], decisions[at]];
  if (one !== undefined && decision?.kind === 'act') {
    carryOut(fleet, open, one, decision);
    return undefined;
  }
  const waits = decisions.some((each) => each.kind === 'wait' && each.wait.for !== 'group');
  if (waits) return 'waits';
  return [...process.ended.values(), ...decisions.map(endingOf)];
}

function endingOf(decision: LayeredDecision): Ending {
  if (decision.kind === 'end') return decision.outcome;
  return decision.kind === 'ask' ? decision : { kind: 'interrupted', why: 'other-disk' };
}

function viewOf(fleet: Fleet, open: readonly Sitting[]): GroupView {
  const { seats, ended, held, tried } = fleet.process;
  return {
    members: open.map(({ model, move }) => ({ world: observe(model), move })),
    complete: seats.length === fleet.disks.length,
    ended: [...ended.values()].map(({ kind }) => kind),
    guest: { paused: fleet.paused !== 'no', held, tried },
  };
}

function carryOut(
  fleet: Fleet,
  open: readonly Sitting[],
  { at, model, move }: Sitting,
  decision: LayeredDecision & { kind: 'act' },
): void {
  const { step, phase, goal } = decision;
  switch (step.name) {
    case 'freeze':
      freezeAll(open, { at, model, move }, decision);
      return;
    case 'pause-guest':
      writeRecord(model, move, phase, goal);
      fleet.pauseRecorded = fleet.instance;
      fleet.process.tried = true;
      if (fleet.diesInPause) {
        fleet.diesInPause = false;
        // From here on nobody can tell whose pause it is.
        fleet.ambiguous = true;
        restart(fleet);
        return;
      }
      fleet.process.held = true;
      if (fleet.paused === 'no') fleet.paused = 'ours';
      return;
    case 'unpause-guest':
      if (fleet.pauseRecorded === fleet.instance) {
        if (fleet.paused === 'theirs' && !fleet.ambiguous) throw new Error('ended the pause of another');
        fleet.paused = 'no';
      }
      fleet.pauseRecorded = undefined;
      fleet.process.held = false;
      writeRecord(model, move, phase, goal);
      return;
    default:
      if (!act(model, move, decision) || step.name !== 'close') return;
      fleet.process.ended.set(at, step.outcome);
      fleet.closed = step.outcome;
  }
}

/** One snapshot for those that are not frozen yet; of a later round, a disk's own. Whose step it is, records what it takes. */
function freezeAll(
  open: readonly Sitting[],
  { at, model, move }: Sitting,
  decision: LayeredDecision & { kind: 'act' },
): void {
  const fails = move.copy !== undefined && model.diesInFreeze === 'before';
  act(model, move, decision);
  for (const each of fails ? [] : open) {
    if (each.at === at || move.phase !== 'freezing' || each.move.phase !== 'freezing') continue;
    const { copy: _, ...plain } = each.move;
    act(each.model, plain, decision);
  }
}

const SETTLE_STEPS = 300;

/** Plays on in peace until `there` holds; a move that is held is let go. */
export function playUntil(decide: DecideGroup, fleet: Fleet, there: (fleet: Fleet) => boolean): void {
  for (let step = 0; step < SETTLE_STEPS && !there(fleet); step += 1) {
    const ended = oneStep(decide, fleet, []);
    if (ended === undefined || there(fleet)) continue;
    if (ended !== 'waits') return;
    for (const model of fleet.disks) advance(model);
  }
}

/** Everything comes back up, and `resume` is run until it ends. */
export function settle(decide: DecideGroup, fleet: Fleet, trace: unknown[]): Ending[] {
  for (const model of fleet.disks) {
    model.daemonUp = true;
    model.diesInFreeze = 'no';
    model.foreignJob = false;
  }
  restart(fleet);
  trace.push('— settle');
  for (let step = 0; step < SETTLE_STEPS; step += 1) {
    const ended = oneStep(decide, fleet, trace);
    if (ended === undefined) continue;
    if (ended !== 'waits') return ended;
    for (const model of fleet.disks) advance(model);
  }
  return [{ kind: 'stuck' }];
}

function advance(model: Model): void {
  const { job } = model.qemu;
  if (job?.state === 'pivoting') finishSwitch(model);
  else if (job) becomeReady(model);
  if (model.process.copying !== 'running') return;
  model.process.copying = 'no';
  layersCopied(model);
}
