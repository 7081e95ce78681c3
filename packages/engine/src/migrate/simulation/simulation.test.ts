// The promises of a migration, against random interleavings of steps, crashes, failures and other people.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decideMigration } from '../decide.ts';
import { type MigrationRecord, mayHaveRunAway } from '../record.ts';
import type { MigrationDecision, MigrationWorld } from '../world.ts';
import { act, write } from './acting.ts';
import { callOff, crossOn, die, dieFrozen } from './crossing.ts';
import { type Crossing, guestWrites, type Model, newModel, shownOn, stampOf } from './model.ts';
import { observe } from './observing.ts';

type Decide = (world: MigrationWorld, record: MigrationRecord) => MigrationDecision;

const RUNS = 40_000;
const SETTLE_STEPS = 60;

const file = (path: string) => ({ source: { kind: 'file', path }, format: 'qcow2' }) as const;

function fresh(mode: Model['mode']): MigrationRecord {
  const [origin, copy] = [file('/a'), file('/c')];
  return {
    version: 1,
    id: 'simulated',
    domain: { name: 'vm', uuid: '00000000-0000-0000-0000-000000000000' },
    mode,
    home: 'here',
    away: 'there',
    hosts: { home: 'a', away: 'b' },
    disks: [
      {
        target: 'vda',
        origin,
        layers: [{ from: origin, to: copy, how: 'bytes' }],
        shared: [],
        overlay: { home: file('/a.o'), away: file('/c.o') },
      },
    ],
    states: [{ kind: 'nvram', path: '/n' }],
    autostart: false,
    options: { verify: true, autoConverge: false },
    phase: mode === 'live' ? 'freezing' : 'copying',
    goal: 'away',
    revision: 0,
  };
}

type Run = { readonly model: Model; ended: string | undefined; begun: boolean; readonly trace: string[] };

function oneStep(decide: Decide, run: Run): void {
  const { model, trace } = run;
  const stored = stampOf(model);
  if (stored === undefined && run.begun) {
    run.ended ??= 'no record';
    return;
  }
  const record = { ...fresh(model.mode), ...stored };
  const decision = decide(observe(model), record);
  trace.push(
    `${JSON.stringify(decision)}   ${model.home.state}/${model.home.on} ${model.away.state}/${model.away.on}`,
  );
  switch (decision.kind) {
    case 'act': {
      const { phase, goal, step } = decision;
      run.begun = true;
      const ended = act(model, { phase, goal, revision: record.revision }, step);
      if (ended !== undefined) run.ended = ended;
      return;
    }
    case 'wait':
      return;
    case 'end':
      run.ended =
        decision.outcome.kind === 'interrupted'
          ? `interrupted: ${decision.outcome.why}`
          : decision.outcome.kind;
      return;
    case 'ask':
      run.ended = `ask: ${decision.question}`;
  }
}

/** What happens beside the loop. */
const EVENTS: Readonly<Record<string, (model: Model) => void>> = {
  'guest writes': guestWrites,
  'a call of the migration': crossOn,
  'all is copied': (model) => {
    if (!model.process.copying) return;
    model.process.copying = false;
    model.copied = 'yes';
  },
  'blockferry dies': die,
  'the migration fails': (model) => callOff(model, 'failed'),
  'QEMU at home dies': (model) => {
    if (model.home.state === 'gone' || model.home.state === 'off') return;
    if (model.process.crossing === 'begun' || model.process.crossing === 'prepared')
      callOff(model, 'QEMU died');
    model.home.state = 'off';
  },
  'everything at home dies right after the freeze': dieFrozen,
  'QEMU at the destination dies': ({ away, process, ...model }) => {
    if (away.state === 'incoming') {
      away.state = 'gone';
      callOff({ away, process, ...model }, 'QEMU died');
    } else if (away.state === 'arrived' || away.state === 'running') away.state = 'off';
  },
  'the domain is started at home': (model) => {
    const mayStart =
      model.home.state === 'off' && model.away.state === 'gone' && model.process.crossing !== 'ran';
    if (!mayStart || shownOn(model, 'home') !== model.acknowledged) return;
    model.home.state = 'running';
    model.kept.home += 1;
  },
  abort: (model) => {
    const stamp = stampOf(model);
    if (stamp !== undefined) write(model, { ...stamp, goal: 'home', revision: stamp.revision + 1 });
  },
  'somebody undefines it at home': (model) => {
    if (model.home.state !== 'off') return;
    model.home.state = 'gone';
    // Then they have removed all there was of it.
    if (model.away.state === 'gone' || model.away.state === 'incoming') model.meddled = true;
  },
  'somebody resumes it at home': (model) => {
    if (model.home.state !== 'stranded' || model.process.crossing !== undefined) return;
    // Once it was to run at the destination, nobody but them knows whether it did.
    if (model.journal !== undefined && mayHaveRunAway(model.journal)) model.meddled = true;
    if (model.away.state === 'running' || model.acknowledged !== shownOn(model, 'home')) model.meddled = true;
    model.home.state = 'running';
  },
};

const NAMES = Object.keys(EVENTS);

/** Undisturbed, up to this call: the moments that matter are too rare to wait for. */
function reach(decide: Decide, run: Run, crossing: Crossing): void {
  const { model } = run;
  for (let step = 0; step < SETTLE_STEPS && model.process.crossing !== crossing; step += 1) {
    if (model.process.crossing !== undefined) crossOn(model);
    else oneStep(decide, run);
    EVENTS['all is copied']?.(model);
    guestWrites(model);
  }
  run.trace.push(`— ${crossing} was reached`);
}

type Scenario = {
  readonly mode: Model['mode'];
  readonly from: Crossing | undefined;
  readonly schedule: readonly number[];
};

function play(decide: Decide, { mode, from, schedule }: Scenario): Run {
  const run: Run = { model: newModel(mode), ended: undefined, begun: false, trace: [] };
  if (from !== undefined && mode === 'live') reach(decide, run, from);
  for (const choice of schedule) {
    if (choice < 0) {
      // An end is the end of one process: the next one is `resume`.
      run.ended = undefined;
      oneStep(decide, run);
    } else {
      const name = NAMES[choice % NAMES.length] ?? '';
      run.trace.push(`— ${name}`);
      EVENTS[name]?.(run.model);
    }
    if (run.ended === 'migrated' || run.ended === 'back' || run.ended === 'no record') return run;
  }
  settle(decide, run);
  return run;
}

/** Everything comes back up, and `resume` is run until it ends. */
function settle(decide: Decide, run: Run): void {
  const { model } = run;
  die(model);
  run.trace.push('— settle');
  run.ended = undefined;
  for (let step = 0; step < SETTLE_STEPS && run.ended === undefined; step += 1) {
    oneStep(decide, run);
    crossOn(model);
    EVENTS['all is copied']?.(model);
    guestWrites(model);
  }
  run.ended ??= 'does not end';
}

/** Undefined if every promise was kept. */
function fault({ model, ended }: Run): string | undefined {
  if (model.broken !== undefined) return model.broken;
  if (ended === 'does not end') return ended;
  const { home, away, images, mode } = model;
  const lives = [home, away].filter(({ state }) => state !== 'gone').length;
  if (ended === 'migrated') {
    if (home.state !== 'gone' || away.state === 'gone') return 'migrated, and not there';
    if (away.on !== 'origin' || images.overlay !== undefined || images.overlayAway !== undefined)
      return 'overlays left';
  }
  if (ended === 'back') {
    if (away.state !== 'gone') return 'back, and not at home';
    if (home.state === 'gone') return model.meddled ? undefined : 'back, and not at home';
    if (home.on !== 'origin' || model.claimed || images.overlay !== undefined)
      return 'something left at home';
  }
  if (lives === 0) return model.meddled ? undefined : 'on neither host';
  if (home.state === 'running' && away.state === 'running' && !model.meddled) return 'on both hosts';
  const asks = ended?.startsWith('ask') ?? false;
  // Unless a person has meddled, nobody has to be asked, and it runs unless a QEMU has died.
  if (asks && !model.meddled && mode === 'live') return `asks without need: ${ended}`;
  const stands = [home, away].some(({ state }) => state === 'stranded' || state === 'arrived');
  if (stands && !asks && ended !== 'interrupted: disk-changed') return 'left standing still';
  const where = away.state === 'gone' ? 'home' : 'away';
  const done = ended === 'migrated' || ended === 'back';
  if (done && !model.meddled && shownOn(model, where) !== model.acknowledged) return 'writes are lost';
  return undefined;
}

const schedules = fc.array(
  fc.oneof({ weight: 3, arbitrary: fc.constant(-1) }, fc.nat({ max: NAMES.length * 2 - 1 })),
  {
    minLength: 10,
    maxLength: 70,
  },
);
const scenarios: fc.Arbitrary<Scenario> = fc.record({
  mode: fc.constantFrom<Model['mode']>('live', 'live', 'live', 'offline'),
  from: fc.constantFrom<Crossing | undefined>(
    undefined,
    'begun',
    'prepared',
    'performed',
    'finished',
    'recorded',
    'ran',
    'confirmed',
  ),
  schedule: schedules,
});

function check(decide: Decide, runs: number): void {
  const property = fc.property(scenarios, (scenario) => {
    const run = play(decide, scenario);
    const wrong = fault(run);
    if (wrong !== undefined) throw new Error(`${wrong} (${run.ended})\n${run.trace.join('\n')}`);
  });
  fc.assert(property, { numRuns: runs });
}

it('ends at home or away, never on both, never on neither, and loses nothing', { timeout: 120_000 }, () => {
  check(decideMigration, RUNS);
});

it('does not run what has come where home went on since, and ended', () => {
  const events = ['blockferry dies', 'somebody resumes it at home', 'guest writes', 'QEMU at home dies'];
  const schedule = events.map((name) => NAMES.indexOf(name));
  const faultOf = (decide: Decide) => fault(play(decide, { mode: 'live', from: 'finished', schedule }));
  expect(faultOf(decideMigration)).toBeUndefined();
  const runs = (world: MigrationWorld, record: MigrationRecord): MigrationDecision =>
    world.away === 'arrived' && world.home === 'off' && world.crossing !== 'running'
      ? { kind: 'act', phase: 'arriving', goal: 'away', step: { name: 'run-away' } }
      : decideMigration(world, record);
  expect(faultOf(runs)).toMatch(/^runs away with \d+ of \d+ writes/);
});

const wrongEngines: Readonly<Record<string, Decide>> = {
  'does not look at what stands in overlays': (world, record) =>
    decideMigration({ ...world, unseenAtHome: 'nothing' }, record),
  'takes what is off at the destination for what never ran': (world, record) =>
    world.away === 'off' && world.home !== 'gone'
      ? { kind: 'act', phase: record.phase, goal: record.goal, step: { name: 'drop-away' } }
      : decideMigration(world, record),
  'goes on at home whenever it stands still there': (world, record) =>
    world.home === 'stranded'
      ? { kind: 'act', phase: record.phase, goal: record.goal, step: { name: 'take-back' } }
      : decideMigration(world, record),
  'runs what has arrived without asking whether home goes on': (world, record) =>
    world.away === 'arrived' && world.crossing !== 'running'
      ? { kind: 'act', phase: 'arriving', goal: 'away', step: { name: 'run-away' } }
      : decideMigration(world, record),
  'does not heed that it was ordered to run there': (world, record) =>
    decideMigration(world, record.phase === 'arriving' ? { ...record, phase: 'crossing' } : record),
  'undefines at home as soon as it is off there': (world, record) =>
    world.home === 'off' && world.away === 'gone' && record.mode === 'live'
      ? { kind: 'act', phase: record.phase, goal: record.goal, step: { name: 'undefine-home' } }
      : decideMigration(world, record),
  'removes the copies when it is to go home, wherever it is': (world, record) =>
    record.goal === 'home' && world.copiesAway
      ? { kind: 'act', phase: 'undoing', goal: 'home', step: { name: 'clear-away', what: 'everything' } }
      : decideMigration(world, record),
  'believes a state beside the disks that was used since': (world, record) =>
    decideMigration({ ...world, state: world.state === 'stale' ? 'brought' : world.state }, record),
  'crosses without the state beside the disks': (world, record) =>
    decideMigration({ ...world, state: 'brought' }, record),
  'believes copies of a domain that was started since': (world, record) =>
    decideMigration({ ...world, copies: world.copies === 'stale' ? 'complete' : world.copies }, record),
};

for (const [what, decide] of Object.entries(wrongEngines)) {
  it(`notices an engine that ${what}`, { timeout: 120_000 }, () => {
    expect(() => check(decide, RUNS)).toThrow('Property failed');
  });
}
