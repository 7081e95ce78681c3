// Every promise of the engine, against random interleavings of steps, crashes, failures and other people.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decide } from '../decide/decide.ts';
import { type Decide, type Played, play, type Scenario } from './run.ts';

const RUNS = 120_000;

const scenario: fc.Arbitrary<Scenario> = fc.record({
  jobMode: fc.constantFrom('plain', 'transient-job', 'transient-job', 'undefine'),
  goal: fc.constantFrom('pivot', 'pivot', 'pivot', 'hold'),
  deleteSource: fc.boolean(),
  converge: fc.boolean(),
  reused: fc.constantFrom(false, false, true),
  leavesDefinition: fc.boolean(),
  opening: fc.constantFrom('nothing', 'nothing', 'lost-pivot', 'lost-pivot-and-revived-definition'),
});

function diskOfGuest({ model }: Played): 'origin' | 'destination' | 'other' {
  const side = model.qemu.running ? model.qemu.on : model.config;
  return side === 'origin' || side === 'destination' ? side : 'other';
}

function everyPromiseHolds(played: Played, given: Scenario): void {
  const { model, ending } = played;
  const disk = diskOfGuest(played);
  expect(ending.kind, 'every run ends').not.toBe('stuck');
  const domainExists = model.qemu.running || model.persistent;

  if (ending.kind === 'ask') {
    expect(model.origin.state, 'a question never costs an image').toBe('data');
    if (!model.meddled.deletedDestination) {
      expect(model.destination.state, 'a question never costs an image').toBe('data');
    }
    const lostTrack = model.daemon.blind !== undefined && model.persistent && !model.meddled.config;
    if (lostTrack) expect(model.config, 'the next boot uses the disk that the guest is on').toBe(disk);
    return;
  }
  if (domainExists && disk !== 'other' && !model.meddled.staleStart) {
    const lost = model.acknowledged & ~model[disk].writes;
    expect(lost, 'no acknowledged write is missing').toBe(0);
  }
  if (ending.kind === 'moved' || ending.kind === 'back' || ending.kind === 'kept') {
    const recordLeft = model.live ?? model.inConfig ?? model.journal;
    expect(recordLeft, 'an ended move leaves no record').toBeUndefined();
    if (model.qemu.running && model.persistent && model.config !== 'elsewhere' && disk !== 'other') {
      expect(model.config, 'one truth: both definitions agree').toBe(disk);
    }
    expect(model.saved, 'a definition kept aside came back').toBeUndefined();
  }
  if (ending.kind === 'back' && !given.reused && disk === 'origin') {
    expect(model.destination.state, 'nothing of ours is left behind').toBe('absent');
  }
  if (ending.kind === 'kept') {
    expect(model.destination.state).toBe('data');
    expect(model.destination.pointInTime, 'what is kept is complete as of one instant').toBe(true);
  }
}

function check(runs: number, how: Decide, seed?: number): Map<string, number> {
  const endings = new Map<string, number>();
  fc.assert(
    fc.property(scenario, fc.uint8Array({ minLength: 0, maxLength: 48 }), (given, schedule) => {
      const trace: string[] = [];
      try {
        const played = play(how, given, schedule, trace);
        endings.set(played.ending.kind, (endings.get(played.ending.kind) ?? 0) + 1);
        everyPromiseHolds(played, given);
      } catch (error) {
        throw new Error(`${String(error)}\n  ${trace.join('\n  ')}`, { cause: error });
      }
    }),
    { numRuns: runs, ...(seed !== undefined && { seed }) },
  );
  return endings;
}

it('keeps every promise in 120,000 random runs', { timeout: 600_000 }, () => {
  const endings = check(RUNS, decide);
  for (const kind of ['moved', 'back', 'kept', 'ready', 'interrupted', 'ask']) {
    expect(endings.get(kind) ?? 0, `the runs reach the ending "${kind}"`).toBeGreaterThan(0);
  }
});

/** Ways to be wrong that field tools have been; the simulation is worth its name if it sees each of them. */
const MISTAKES: Readonly<Record<string, Decide>> = {
  'acts before it records': (world, move) =>
    decide(
      { ...world, recorded: { live: 'unavailable', config: 'unavailable', journal: 'unavailable' } },
      move,
    ),
  'takes a vanished job for success': (world, move) => {
    const vanished = world.starts > 0 && world.job.kind === 'none' && world.live === 'origin';
    return vanished ? decide({ ...world, live: 'destination' }, move) : decide(world, move);
  },
  'pivots onto storage that hangs': (world, move) => decide({ ...world, answers: 'yes' }, move),
  'pivots onto a deleted file': (world, move) =>
    decide({ ...world, destination: world.job.kind === 'ours' ? 'ours' : world.destination }, move),
  'never asks which side is the truth': (world, move) =>
    decide({ ...world, sides: 'same', sameInstance: true }, move),
  'believes the definition when libvirt left it stale': (world, move) =>
    decide({ ...world, config: world.live === 'destination' ? 'destination' : world.config }, move),
  'believes libvirt that a domain is off': (world, move) =>
    decide({ ...world, qemuWrites: world.domain === 'running' ? world.qemuWrites : 'nobody' }, move),
  'believes the live definition after a lost pivot': (world, move) =>
    decide({ ...world, qemuWrites: world.job.kind === 'none' ? 'origin' : world.qemuWrites }, move),
  'waits for a mirror that is none': (world, move) => decide({ ...world, qemuWrites: 'not-asked' }, move),
  'forgets the definition kept aside': (world, move) => decide({ ...world, savedDefinition: false }, move),
  'keeps a copy it cannot prove complete': (world, move) =>
    decide({ ...world, witnessed: move.goal === 'keep' ? 'canceled-by-us' : world.witnessed }, move),
};

it.each(Object.entries(MISTAKES))('would notice an engine that %s', { timeout: 120_000 }, (_, mistake) => {
  expect(() => check(RUNS, mistake, 1)).toThrow('Property failed');
});
