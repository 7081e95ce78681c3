// Every promise of a commit and a pull, against random interleavings of steps, crashes, failures and other people.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Outcome, Question } from '../../model/decision.ts';
import type { Goal, MoveRecord } from '../../model/record.ts';
import type { ShortenWorld } from '../../model/world.ts';
import { decideShorten, type ShortenDecision } from '../decide.ts';
import { EVENTS, jobAdvances, libvirtNotices, switchesUnseenAndDies, workEnds } from './events.ts';
import {
  act,
  findRecord,
  type Kind,
  libvirtSees,
  type Model,
  newModel,
  observe,
  viewFrom,
  write,
} from './model.ts';

type Decide = (world: ShortenWorld, move: MoveRecord) => ShortenDecision;
type Ending = Outcome | { readonly kind: 'ask'; readonly question: Question } | { readonly kind: 'stuck' };
type Scenario = {
  readonly kind: Kind;
  readonly persistent: boolean;
  readonly running: boolean;
  readonly leavesDefinition: boolean;
  readonly goal: Goal;
  readonly deleteSource: boolean;
  /** What came before the schedule. The worst is too rare to wait for: a switch that nobody saw, and a death. */
  readonly lost: boolean;
};

const RUNS = 60_000;
const SETTLE_STEPS = 60;

const file = (path: string) => ({ source: { kind: 'file', path }, format: 'qcow2' }) as const;
const [TOP, MIDDLE, BASE] = [file('/top'), file('/middle'), file('/base')];

function newMove({ kind, goal, deleteSource }: Scenario): MoveRecord {
  const leaves = kind === 'active' ? TOP : MIDDLE;
  return {
    version: 1,
    id: 'simulated',
    domain: { name: 'vm', uuid: '00000000-0000-0000-0000-000000000000' },
    disk: 'vda',
    strategy: kind === 'pull' ? 'pull' : 'commit',
    shorten: { chain: kind === 'active' ? [TOP, BASE] : [TOP, MIDDLE, BASE], keepRelative: false },
    scope: 'chain',
    origin: leaves,
    destination: kind === 'pull' ? TOP : BASE,
    ownership: { kind: 'reused' },
    sources: [leaves],
    jobMode: 'plain',
    options: { synchronousWrites: false, converge: false, deleteSource },
    destinationXml: '',
    phase: 'copying',
    goal,
  };
}

function oneStep(decide: Decide, model: Model, fresh: MoveRecord, trace: string[]): Ending | undefined {
  if (!model.libvirt.up) return undefined;
  const stored = findRecord(model);
  const { phase = 'copying', goal = fresh.goal, use } = stored ?? {};
  if (stored === undefined && model.process.move === undefined) {
    return { kind: 'back', why: 'no record: nothing was begun' };
  }
  const move = { ...fresh, phase, goal, ...(use && { use }) };
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

function loseSwitch(decide: Decide, model: Model, fresh: MoveRecord, trace: string[]): void {
  for (let step = 0; step < SETTLE_STEPS && model.qemu.job !== 'pivoting'; step += 1) {
    const ended = oneStep(decide, model, fresh, trace);
    if (ended?.kind === 'ready') write(model, { goal: 'pivot' });
    if (model.qemu.job === 'running') jobAdvances(model);
    libvirtNotices(model);
  }
  switchesUnseenAndDies(model);
  trace.push('— the switch was lost');
}

function isOver(ended: Ending | undefined): ended is Outcome {
  return ended?.kind === 'moved' || ended?.kind === 'back' || ended?.kind === 'kept';
}

/** Everything comes back up, and `resume` is run until it ends. */
function settle(decide: Decide, model: Model, fresh: MoveRecord, trace: string[]): Ending {
  model.libvirt.up = true;
  model.qemu.foreignJob = false;
  if (typeof model.process.work === 'object') model.process.work = 'no';
  trace.push('— settle');
  let waits = 0;
  for (let step = 0; step < SETTLE_STEPS; step += 1) {
    libvirtNotices(model);
    const ended = oneStep(decide, model, fresh, trace);
    if (ended === undefined) continue;
    if (ended.kind !== 'stuck') return ended;
    waits += 1;
    if (waits > 10) return ended;
    jobAdvances(model);
    workEnds(model);
  }
  return { kind: 'stuck' };
}

function play(decide: Decide, scenario: Scenario, schedule: Uint8Array, trace: string[]) {
  const model = newModel({ ...scenario, running: scenario.running || !scenario.persistent });
  const fresh = newMove(scenario);
  model.process.move = fresh;
  if (scenario.lost && scenario.kind === 'active' && model.qemu.running)
    loseSwitch(decide, model, fresh, trace);
  for (const byte of schedule) {
    const event = EVENTS[byte % EVENTS.length];
    const ended = byte < 128 ? oneStep(decide, model, fresh, trace) : undefined;
    if (byte >= 128) {
      event?.(model);
      trace.push(event?.name ?? '');
    }
    if (isOver(ended)) return { model, ending: ended };
  }
  return { model, ending: settle(decide, model, fresh, trace) };
}

function everyPromiseHolds(model: Model, ending: Ending): void {
  const { qemu, config, persistent } = model;
  expect(ending.kind, 'every run ends').not.toBe('stuck');
  if (ending.kind === 'ask') {
    expect(model.deleted, 'a question never costs an image').toBe(false);
    return;
  }
  const place = qemu.running ? qemu.on : config;
  if ((qemu.running || persistent) && place !== 'elsewhere' && !model.meddled) {
    const lost = model.acknowledged & ~viewFrom(model, place);
    expect(lost, 'no acknowledged write is missing').toBe(0);
  }
  if (!isOver(ending)) return;
  expect(findRecord(model), 'what has ended leaves no record').toBeUndefined();
  expect(model.process.work, 'nothing works on').not.toBe('running');
  if (!libvirtSees(model) || !persistent || config === 'elsewhere') return;
  if (model.kind === 'active') expect(config, 'one truth: both definitions agree').toBe(qemu.on);
  const isShort = model.kind === 'active' ? qemu.on === 'base' : model.header === 'short';
  if (ending.kind === 'moved') expect(isShort, 'it says that the chain is short only if it is').toBe(true);
}

const scenario: fc.Arbitrary<Scenario> = fc.record({
  kind: fc.constantFrom('active', 'active', 'middle', 'pull'),
  persistent: fc.constantFrom(true, true, false),
  running: fc.constantFrom(true, true, false),
  leavesDefinition: fc.boolean(),
  goal: fc.constantFrom('pivot', 'pivot', 'hold'),
  deleteSource: fc.boolean(),
  lost: fc.constantFrom(false, false, true),
});

function check(runs: number, how: Decide, seed?: number): Map<string, number> {
  const endings = new Map<string, number>();
  fc.assert(
    fc.property(scenario, fc.uint8Array({ minLength: 0, maxLength: 40 }), (given, schedule) => {
      const trace: string[] = [JSON.stringify(given)];
      try {
        const { model, ending } = play(how, given, schedule, trace);
        endings.set(ending.kind, (endings.get(ending.kind) ?? 0) + 1);
        everyPromiseHolds(model, ending);
      } catch (error) {
        throw new Error(`${String(error)}\n  ${trace.join('\n  ')}`, { cause: error });
      }
    }),
    { numRuns: runs, ...(seed !== undefined && { seed }) },
  );
  return endings;
}

it('keeps every promise in 60,000 random runs', { timeout: 600_000 }, () => {
  const endings = check(RUNS, decideShorten);
  for (const kind of ['moved', 'back', 'ready', 'interrupted', 'ask']) {
    expect(endings.get(kind) ?? 0, `the runs reach the ending "${kind}"`).toBeGreaterThan(0);
  }
});

/** Ways to be wrong; the simulation is worth its name if it sees each of them. */
const MISTAKES: Readonly<Record<string, Decide>> = {
  'acts before it records': (world, move) =>
    decideShorten(
      { ...world, recorded: { live: 'unavailable', config: 'unavailable', journal: 'unavailable' } },
      move,
    ),
  'takes a vanished job for success': (world, move) => {
    const vanished = world.starts > 0 && world.job.kind === 'none' && world.live === 'origin';
    return decideShorten(vanished ? { ...world, live: 'destination' } : world, move);
  },
  'never asks which side is the truth': (world, move) =>
    decideShorten({ ...world, sides: 'same', sameInstance: true }, move),
  'believes the live definition after a lost switch': (world, move) =>
    decideShorten({ ...world, qemuWrites: world.job.kind === 'none' ? 'origin' : world.qemuWrites }, move),
  'believes the definition when libvirt left it stale': (world, move) =>
    decideShorten({ ...world, config: world.live === 'destination' ? 'destination' : world.config }, move),
  'believes libvirt that a domain is off': (world, move) =>
    decideShorten({ ...world, qemuWrites: world.domain === 'running' ? world.qemuWrites : 'nobody' }, move),
  'has the definition follow work that is not done': (world, move) =>
    decideShorten({ ...world, offline: world.offline === 'running' ? 'done' : world.offline }, move),
  'works on while the operator wants it undone': (world, move) => {
    const decision = decideShorten(world, move);
    const stops = decision.kind === 'act' && decision.step.name === 'stop-offline';
    return stops ? decideShorten({ ...world, offline: 'no' }, move) : decision;
  },
};

it.each(Object.entries(MISTAKES))('would notice an engine that %s', { timeout: 120_000 }, (_, mistake) => {
  expect(() => check(RUNS, mistake, 1)).toThrow('Property failed');
});
