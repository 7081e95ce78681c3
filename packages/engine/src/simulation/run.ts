// Plays one schedule of blockferry's steps and the world's events on the model, then lets everything settle.
import type { Decision, Outcome, Question } from '../model/decision.ts';
import type { Goal, JobMode, MoveRecord } from '../model/record.ts';
import type { World } from '../model/world.ts';
import { act, changeRecord, finishPivot } from './acting.ts';
import { daemonRevivesDefinition, EVENTS, pivotsUnseenAndDies } from './events.ts';
import { findRecord, type Model, newModel } from './model.ts';
import { observe } from './observing.ts';

export type Decide = (world: World, move: MoveRecord) => Decision;

export interface Scenario {
  readonly jobMode: JobMode;
  readonly goal: Goal;
  readonly deleteSource: boolean;
  readonly converge: boolean;
  readonly reused: boolean;
  readonly leavesDefinition: boolean;
  /** What came before the schedule. The worst is too rare to wait for: QEMU pivoted unseen, wrote on, and died. */
  readonly opening: 'nothing' | 'lost-pivot' | 'lost-pivot-and-revived-definition';
}

export type Ending =
  | Outcome
  | { readonly kind: 'ask'; readonly question: Question }
  | { readonly kind: 'stuck'; readonly on: string };

export interface Played {
  readonly model: Model;
  readonly ending: Ending;
}

/** More steps than any settled world needs: beyond it, the run counts as stuck. */
const SETTLE_STEPS = 60;

/** @param trace what happened, as far as it came: good to have also when the model throws */
export function play(decide: Decide, scenario: Scenario, schedule: Uint8Array, trace: string[] = []): Played {
  const model = newModel(scenario.jobMode, scenario.reused, scenario.leavesDefinition);
  const fresh = newMove(scenario);
  model.process.move = fresh;
  let ended: Ending | undefined;
  if (scenario.opening !== 'nothing') losePivot(decide, model, fresh, scenario.opening, trace);
  for (const byte of schedule) {
    // Half of all bytes let blockferry take a step; the others are what happens around it.
    if (byte < 128) ended = oneStep(decide, model, fresh, trace);
    else {
      const event = EVENTS[byte % EVENTS.length];
      event?.(model);
      trace.push(event?.name ?? '');
    }
    if (ended?.kind === 'moved' || ended?.kind === 'back' || ended?.kind === 'kept') {
      return { model, ending: ended };
    }
  }
  return { model, ending: settle(decide, model, fresh, trace) };
}

function losePivot(
  decide: Decide,
  model: Model,
  fresh: MoveRecord,
  opening: Scenario['opening'],
  trace: string[],
): void {
  for (let step = 0; step < SETTLE_STEPS && model.qemu.job?.state !== 'pivoting'; step += 1) {
    const ended = oneStep(decide, model, fresh, trace);
    if (ended?.kind === 'ready') changeRecord(model, { goal: 'pivot' });
    if (model.qemu.job?.state === 'running') model.qemu.job.state = 'ready';
  }
  if (opening === 'lost-pivot-and-revived-definition') daemonRevivesDefinition(model);
  pivotsUnseenAndDies(model);
  trace.push('— the pivot was lost');
}

/** Everything comes back up, storage answers, and `resume` is run until it ends. */
function settle(decide: Decide, model: Model, fresh: MoveRecord, trace: string[]): Ending {
  model.daemon.up = true;
  model.silent = false;
  model.qemu.foreignJob = false;
  trace.push('— settle');
  let waits = 0;
  for (let step = 0; step < SETTLE_STEPS; step += 1) {
    const ended = oneStep(decide, model, fresh, trace);
    if (ended === undefined) continue;
    if (ended.kind !== 'stuck') return ended;
    waits += 1;
    if (waits > 10) return ended;
    const job = model.qemu.job;
    if (job?.state === 'pivoting') finishPivot(model);
    else if (job?.state === 'running') {
      model.destination.writes = model.origin.writes;
      job.state = 'ready';
    }
  }
  return { kind: 'stuck', on: 'too many steps' };
}

function oneStep(decide: Decide, model: Model, fresh: MoveRecord, trace: string[]): Ending | undefined {
  if (!model.daemon.up) return undefined;
  const move = currentMove(model, fresh);
  if (move === undefined) return { kind: 'back', why: 'no record: nothing was begun' };
  const decision = decide(observe(model, move), move);
  trace.push(describe(decision));
  switch (decision.kind) {
    case 'act':
      return act(model, move, decision) && decision.step.name === 'close' ? decision.step.outcome : undefined;
    case 'wait':
      return { kind: 'stuck', on: decision.wait.for };
    case 'end':
      return decision.outcome;
    case 'ask':
      return decision;
  }
}

/** What blockferry works with: the stored record wins over memory, as other verbs may have changed it. */
function currentMove(model: Model, fresh: MoveRecord): MoveRecord | undefined {
  const stored = findRecord(model);
  if (stored === undefined) return model.process.move;
  return {
    ...fresh,
    phase: stored.phase,
    goal: stored.goal,
    ...(stored.use && { use: stored.use }),
    options: { ...fresh.options, synchronousWrites: stored.synchronousWrites },
  };
}

function newMove(scenario: Scenario): MoveRecord {
  return {
    version: 1,
    id: 'simulated',
    domain: { name: 'vm', uuid: '00000000-0000-0000-0000-000000000000' },
    disk: 'vda',
    strategy: 'mirror',
    scope: 'shallow',
    origin: { source: { kind: 'file', path: '/a' }, format: 'qcow2' },
    destination: { source: { kind: 'file', path: '/b' }, format: 'qcow2' },
    ownership: scenario.reused ? { kind: 'reused' } : { kind: 'created' },
    sources: [{ source: { kind: 'file', path: '/a' }, format: 'qcow2' }],
    jobMode: scenario.jobMode,
    options: {
      synchronousWrites: false,
      converge: scenario.converge,
      deleteSource: scenario.deleteSource,
    },
    destinationXml: '<disk/>',
    phase: 'copying',
    goal: scenario.goal,
  };
}

function describe(decision: Decision): string {
  switch (decision.kind) {
    case 'act':
      return `act ${decision.phase}/${decision.goal} ${decision.step.name}`;
    case 'wait':
      return `wait ${decision.wait.for}`;
    case 'end':
      return `end ${decision.outcome.kind}`;
    case 'ask':
      return `ask ${decision.question}`;
  }
}
