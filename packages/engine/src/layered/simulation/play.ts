// Random interleavings of steps, crashes, failures and other people, and every promise of strategy `layered` held against them.
import fc from 'fast-check';
import { expect } from 'vitest';
import type { Outcome, Question } from '../../model/decision.ts';
import type { KnownPlace, LayeredWorld, Leg } from '../../model/layered-world.ts';
import type { Goal, MoveRecord } from '../../model/record.ts';
import type { LayeredDecision } from '../decide.ts';
import { act } from './acting.ts';
import { EVENTS, layersCopied, setGoal, switchesUnseenAndDies } from './events.ts';
import { becomeReady, findRecord, finishSwitch, type Model, newModel, viewOf } from './model.ts';
import { observe } from './observing.ts';

export type Decide = (world: LayeredWorld, move: MoveRecord) => LayeredDecision;
type Ending = Outcome | { readonly kind: 'ask'; readonly question: Question } | { readonly kind: 'stuck' };
type Scenario = {
  readonly persistent: boolean;
  /** `copy`: the guest is to stay where it is. */
  readonly goal: Goal;
  /** The destination is a device. */
  readonly device: boolean;
  /** The overlay grows so large that it is frozen in its turn, so many times. */
  readonly rounds: number;
  /** What came before the schedule. The worst is too rare to wait for: a switch that nobody saw, and a death. */
  readonly lost: Leg | undefined;
};

const SETTLE_STEPS = 80;

const file = (path: string) => ({ source: { kind: 'file', path }, format: 'qcow2' }) as const;

const BRAKE = { level: 1, rate: 100n, before: {} };

/** An overlay that was frozen, and its copy. */
const FROZEN = { from: file('/a.frozen'), to: file('/d.frozen'), how: 'bytes' } as const;

function newMove(goal: Goal): MoveRecord {
  const [origin, destination] = [file('/a'), file('/d')];
  return {
    version: 1,
    id: 'simulated',
    domain: { name: 'vm', uuid: '00000000-0000-0000-0000-000000000000' },
    disk: 'vda',
    strategy: 'layered',
    layered: {
      layers: [{ from: origin, to: destination, how: 'bytes' }],
      overlay: file('/a.overlay'),
      carrier: file('/d.carrier'),
      verify: true,
    },
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

function current(model: Model, fresh: MoveRecord): MoveRecord | undefined {
  const stored = findRecord(model);
  if (stored === undefined) return model.process.move;
  const { phase, goal, use, rounds, next, quiescing, braked } = stored;
  const layered = fresh.layered && {
    ...fresh.layered,
    rounds: Array.from({ length: rounds }, () => FROZEN),
    ...(next && { next: file('/a.next') }),
  };
  const copy = fresh.copy && { ...fresh.copy, ...(quiescing && { quiescing }) };
  return {
    ...fresh,
    ...(layered && { layered }),
    ...(copy && { copy }),
    ...(braked && { brake: BRAKE }),
    phase,
    goal,
    ...(use && { use }),
  };
}

function oneStep(decide: Decide, model: Model, fresh: MoveRecord, trace: string[]): Ending | undefined {
  if (!model.daemonUp) return undefined;
  const move = current(model, fresh);
  if (move === undefined) return { kind: 'back', why: 'no record: nothing was begun' };
  const decision = decide(observe(model), move);
  trace.push(JSON.stringify(decision));
  switch (decision.kind) {
    case 'act':
      return act(model, move, decision) && decision.step.name === 'close' ? decision.step.outcome : undefined;
    case 'wait':
      return { kind: 'stuck' };
    case 'end':
      return decision.outcome;
    case 'ask':
      return decision;
  }
}

function copied(model: Model): void {
  model.process.copying = 'no';
  layersCopied(model);
}

/** Plays on until this leg's switch is ordered; it then happens unseen, the guest writes on, and QEMU dies. */
function loseSwitch(decide: Decide, model: Model, fresh: MoveRecord, leg: Leg, trace: string[]): void {
  const aborts = leg === 'return' && fresh.copy === undefined;
  if (aborts) setGoal(model, 'abort');
  for (let step = 0; step < SETTLE_STEPS; step += 1) {
    const { job } = model.qemu;
    if (job?.state === 'pivoting' && job.leg === leg) break;
    if (job?.state === 'pivoting') finishSwitch(model);
    else if (job) becomeReady(model);
    if (model.process.copying === 'running') copied(model);
    if (aborts && model.qemu.on === 'overlay') setGoal(model, 'abort');
    const ended = oneStep(decide, model, fresh, trace);
    if (ended?.kind === 'ready') setGoal(model, 'pivot');
  }
  switchesUnseenAndDies(model);
  trace.push(`— the ${leg} was lost`);
}

/** Everything comes back up, and `resume` is run until it ends. */
function settle(decide: Decide, model: Model, fresh: MoveRecord, trace: string[]): Ending {
  model.daemonUp = true;
  model.diesInFreeze = 'no';
  model.foreignJob = false;
  model.process = { ...model.process, copying: 'no', witnessed: 'nothing', starts: 0 };
  trace.push('— settle');
  for (let step = 0; step < SETTLE_STEPS; step += 1) {
    const ended = oneStep(decide, model, fresh, trace);
    if (ended === undefined) continue;
    if (ended.kind !== 'stuck') return ended;
    const { job } = model.qemu;
    if (job?.state === 'pivoting') finishSwitch(model);
    else if (job) becomeReady(model);
    if (model.process.copying === 'running') copied(model);
  }
  return { kind: 'stuck' };
}

function play(
  decide: Decide,
  { persistent, goal, device, lost, rounds }: Scenario,
  schedule: Uint8Array,
  trace: string[],
) {
  const model = newModel(persistent, rounds, device);
  const fresh = newMove(goal);
  model.process.move = fresh;
  if (lost !== undefined) loseSwitch(decide, model, fresh, lost, trace);
  for (const byte of schedule) {
    const event = byte < 128 ? undefined : EVENTS[byte % EVENTS.length];
    const ended = event === undefined ? oneStep(decide, model, fresh, trace) : undefined;
    event?.(model);
    if (event) trace.push(event.name);
    if (ended?.kind === 'moved' || ended?.kind === 'back' || ended?.kind === 'copied')
      return { model, ending: ended };
  }
  return { model, ending: settle(decide, model, fresh, trace) };
}

function everyPromiseHolds(model: Model, ending: Ending): void {
  expect(ending.kind, 'every run ends').not.toBe('stuck');
  const place = model.qemu.running ? model.qemu.on : model.config;
  if (ending.kind === 'ask') {
    const there = model.device ? 'unknown' : 'ours';
    expect(model.images.destination.claim, 'a question never costs an image').toBe(there);
    return;
  }
  // Nothing is left that tells when the device was written to: only a person can put that right.
  const isCleared = findRecord(model)?.phase === 'settling' && model.images.carrier.claim === 'absent';
  if (model.device && ending.kind === 'interrupted' && isCleared) return;
  if (!model.meddled && place !== 'none' && place !== 'elsewhere') {
    expect(model.acknowledged & ~viewOf(model, place), 'no acknowledged write is missing').toBe(0);
  }
  const spoilt = ending.kind === 'interrupted' && ending.why === 'source-changed' && !model.meddled;
  expect(spoilt, 'its images do not change before the copy is for good').toBe(false);
  const ended = ending.kind === 'copied' || ending.kind === 'back';
  if (ended) expect(model.slowed, 'the guest writes as it could before').toBe(false);
  expect(model.stands, 'the guest is not left with frozen file systems').toBe(false);
  if (ending.kind === 'copied') expectCopy(model);
  if (ending.kind !== 'moved' && ending.kind !== 'back' && ending.kind !== 'copied') return;
  const wanted: KnownPlace = ending.kind === 'moved' ? 'destination' : 'origin';
  const begun = model.images.overlay.claim !== 'absent' || ending.kind === 'moved';
  if (place !== 'none' && begun) expect(place, 'the guest is where the move says').toBe(wanted);
  expect(model.live ?? model.inConfig ?? model.journal, 'no record is left').toBeUndefined();
  if (model.qemu.running && model.persistent) expect(model.config, 'one truth').toBe(model.qemu.on);
  expect(model.images.overlay.claim, 'no overlay is left').toBe('absent');
  expect(model.next.claim, 'no further overlay is left').toBe('absent');
  expect(model.images.carrier.claim, 'no carrier is left').toBe('absent');
  const left = model.device ? 'unknown' : 'absent';
  if (ending.kind === 'back') expect(model.images.destination.claim, 'no copy is left').toBe(left);
}

/** It is there, complete, and what the guest had written at one instant: no write without all those before it. */
function expectCopy(model: Model): void {
  const { destination } = model.images;
  expect(destination.claim, 'the copy is there').toBe('ours');
  // Somebody started the domain without what its overlay held.
  if (model.meddled) return;
  expect(destination.writes & (destination.writes + 1), 'it is of one instant').toBe(0);
  expect(model.frozenAt & ~destination.writes, 'nothing is missing in it').toBe(0);
}

export const MOVES: readonly Goal[] = ['pivot', 'pivot', 'hold'];
export const COPIES: readonly Goal[] = ['copy'];
const LEGS_OF_MOVES = ['switch', 'collapse', 'return'] as const;
const COPY_LEGS = ['return', 'return'] as const;

/** Returns how often runs ended how. @throws what a broken promise throws, with the run that broke it */
export function check(runs: number, decide: Decide, goals = MOVES): Map<string, number> {
  const endings = new Map<string, number>();
  const scenario: fc.Arbitrary<Scenario> = fc.record({
    persistent: fc.constantFrom(true, true, true, false),
    goal: fc.constantFrom(...goals),
    device: goals.includes('copy') ? fc.constant(false) : fc.constantFrom(false, false, true),
    rounds: fc.constantFrom(0, 0, 1, 2),
    lost: fc.constantFrom(
      undefined,
      undefined,
      undefined,
      ...(goals.includes('copy') ? COPY_LEGS : LEGS_OF_MOVES),
    ),
  });
  fc.assert(
    fc.property(scenario, fc.uint8Array({ minLength: 0, maxLength: 64 }), (given, schedule) => {
      const trace: string[] = [];
      try {
        const { model, ending } = play(decide, given, schedule, trace);
        endings.set(ending.kind, (endings.get(ending.kind) ?? 0) + 1);
        everyPromiseHolds(model, ending);
      } catch (error) {
        throw new Error(`${String(error)}\n  ${trace.join('\n  ')}`, { cause: error });
      }
    }),
    { numRuns: runs },
  );
  return endings;
}
