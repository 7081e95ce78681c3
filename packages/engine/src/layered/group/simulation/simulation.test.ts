// Disks that move as one end all moved or all back, against random interleavings of steps, crashes and other people.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Goal, MoveRecord } from '../../../model/record.ts';
import { decideLayered } from '../../decide.ts';
import { otherWipesMetadata, setGoal } from '../../simulation/events.ts';
import { findRecord, type Model, viewOf } from '../../simulation/model.ts';
import { decideGroup } from '../decide.ts';
import { EVENTS, lostSwitches } from './events.ts';
import {
  type DecideGroup,
  type Ending,
  type Fleet,
  newFleet,
  oneStep,
  playUntil,
  type Scenario,
  settle,
} from './fleet.ts';

const RUNS = 6_000;

/** Where the random schedule begins: what matters most happens in moments too short to be hit by chance. */
const BEGINNINGS: Readonly<Record<string, (fleet: Fleet) => boolean>> = {
  start: () => true,
  frozen: ({ disks }) => disks.every(({ qemu }) => qemu.on === 'overlay'),
  copied: ({ disks }) => disks.every(({ copies }) => copies === 'complete'),
  suspended: ({ disks }) => disks.every(({ copies }) => copies === 'complete'),
  ready: ({ disks }) => disks.every(({ qemu }) => qemu.job?.state === 'ready'),
  paused: ({ paused, disks }) => paused === 'ours' || disks.some(isAhead),
  ordered: ({ disks }) => disks.some(({ qemu }) => qemu.job?.state === 'pivoting'),
  half: ({ disks }) => disks.some(isAhead) && !disks.every(isAhead),
  switched: ({ disks }) => disks.every(isAhead),
  undoing: ({ disks }) => disks.some(({ qemu }) => qemu.job?.leg === 'return'),
};

/** Of copies, which never leave their source. */
const COPY_BEGINNINGS: Readonly<Record<string, (fleet: Fleet) => boolean>> = {
  start: () => true,
  frozen: BEGINNINGS.frozen ?? (() => true),
  copied: ({ disks }) => disks.every(({ copies }) => copies === 'complete'),
  kept: ({ disks }) => disks.some((model) => findRecord(model)?.goal === 'keep'),
  returning: ({ disks }) => disks.some(({ qemu }) => qemu.job?.leg === 'return'),
  half: ({ disks }) => disks.some(isBack) && !disks.every(isBack),
};

function isBack(model: Model): boolean {
  return findRecord(model)?.goal === 'keep' && placeOf(model) === 'origin';
}

/** No copy is for good before all are complete. */
function neverKeptHalf({ disks }: Fleet): void {
  const kept = disks.filter((model) => findRecord(model)?.goal === 'keep');
  const isPartial = (model: Model) => !kept.includes(model) && model.copies !== 'complete';
  if (kept.length > 0 && disks.some((model) => findRecord(model) !== undefined && isPartial(model)))
    throw new Error('one was kept before all were copied');
}

const placeOf = ({ qemu, config }: Model) => (qemu.running ? qemu.on : config);

function isAhead(model: Model): boolean {
  const place = placeOf(model);
  return place === 'carrier' || place === 'destination';
}

/** What must hold between any two steps. */
function neverAhead({ disks }: Fleet): void {
  if (!disks.some(isAhead) || disks.some(({ meddled }) => meddled)) return;
  // No `expect`, which is too slow for every step.
  const copied = disks.every((model) => isAhead(model) || model.copies === 'complete');
  if (!copied) throw new Error('one switched before all were copied');
}

function play(decide: DecideGroup, scenario: Scenario, schedule: Uint8Array, trace: unknown[]) {
  const { count, from } = scenario;
  const fleet = newFleet(count, scenario);
  const undoes = from === 'undoing';
  if (undoes) playUntil(decide, fleet, BEGINNINGS.ready ?? (() => true));
  if (undoes) for (const model of fleet.disks) setGoal(model, 'abort');
  const beginning = scenario.goal === 'copy' ? COPY_BEGINNINGS[from] : BEGINNINGS[from];
  playUntil(decide, fleet, beginning ?? (() => true));
  if (from === 'suspended') fleet.paused = 'theirs';
  for (const [index, byte] of schedule.entries()) {
    const event = byte < 128 ? undefined : EVENTS[byte % EVENTS.length];
    if (event) {
      event(fleet, (schedule[index + 1] ?? 0) % 7);
      trace.push(`event ${byte % EVENTS.length}`);
      continue;
    }
    const ended = oneStep(decide, fleet, trace);
    if (scenario.goal === 'copy') neverKeptHalf(fleet);
    else neverAhead(fleet);
    if (Array.isArray(ended) && ended.every(isEnd)) {
      return { fleet, endings: ended };
    }
  }
  return { fleet, endings: settle(decide, fleet, trace) };
}

function isEnd({ kind }: Ending): boolean {
  return kind === 'moved' || kind === 'back' || kind === 'copied';
}

function everyPromiseHolds(fleet: Fleet, endings: readonly Ending[]): void {
  const kinds = new Set(endings.map(({ kind }) => kind));
  expect(kinds, 'every run ends').not.toContain('stuck');
  expect((kinds.has('moved') || kinds.has('copied')) && kinds.has('back'), 'never half').toBe(false);
  expect(
    fleet.disks.some(({ stands }) => stands),
    'no file systems are left frozen',
  ).toBe(false);
  expect(fleet.paused, 'the guest is not left paused').not.toBe('ours');
  const isBack = kinds.size === 1 && (kinds.has('back') || kinds.has('copied'));
  if (isBack) expect(fleet.disks.filter(({ slowed }) => slowed)).toEqual([]);
  if (fleet.disks.some(({ meddled }) => meddled)) return;
  for (const model of fleet.disks) {
    const place = placeOf(model);
    if (kinds.has('ask')) expect(model.images.origin.claim, 'a question costs no image').toBe('ours');
    else if (place !== 'none' && place !== 'elsewhere') {
      expect(model.acknowledged & ~viewOf(model, place), 'no acknowledged write is missing').toBe(0);
    }
  }
  const [only, ...others] = kinds;
  if (others.length > 0 || (only !== 'moved' && only !== 'back' && only !== 'copied')) return;
  for (const model of fleet.disks) {
    const place = placeOf(model);
    if (place !== 'none') expect(place).toBe(only === 'moved' ? 'destination' : 'origin');
    expect(model.live ?? model.inConfig ?? model.journal, 'no record is left').toBeUndefined();
    const { overlay, carrier } = model.images;
    expect([overlay.claim, model.next.claim, carrier.claim]).toEqual(Array(3).fill('absent'));
    if (only === 'back') expect(model.images.destination.claim).toBe('absent');
    if (only === 'copied') expect(model.images.destination.claim, 'the copy is there').toBe('ours');
    if (only === 'copied') expect(model.frozenAt & ~model.images.destination.writes, 'all of it').toBe(0);
  }
}

const MOVES: readonly Goal[] = ['pivot', 'pivot', 'hold'];
const COPIES: readonly Goal[] = ['copy'];

function check(runs: number, decide: DecideGroup, goals = MOVES): Map<string, number> {
  const isCopy = goals === COPIES;
  const counts = new Map<string, number>();
  const scenario: fc.Arbitrary<Scenario> = fc.record({
    count: fc.constantFrom(2, 2, 3),
    persistent: fc.constantFrom(true, true, true, false),
    goal: fc.constantFrom(...goals),
    pause: isCopy ? fc.constant(false) : fc.boolean(),
    grows: fc.constantFrom(0, 0, 1, 2),
    from: fc.constantFrom(...Object.keys(isCopy ? COPY_BEGINNINGS : BEGINNINGS)),
  });
  fc.assert(
    fc.property(scenario, fc.uint8Array({ minLength: 0, maxLength: 60 }), (given, schedule) => {
      const trace: unknown[] = [];
      try {
        const { fleet, endings } = play(decide, given, schedule, trace);
        const kinds = [...new Set(endings.map(({ kind }) => kind))]
          .toSorted((one, other) => one.localeCompare(other))
          .join('+');
        counts.set(kinds, (counts.get(kinds) ?? 0) + 1);
        everyPromiseHolds(fleet, endings);
      } catch (error) {
        const told = trace.map((each) => JSON.stringify(each));
        throw new Error(`${String(error)}\n  ${told.join('\n  ')}`, { cause: error });
      }
    }),
    { numRuns: runs },
  );
  return counts;
}

it('keeps every promise in 6,000 random runs', { timeout: 120_000 }, () => {
  const counts = check(RUNS, decideGroup);
  for (const kinds of ['moved', 'back', 'ready', 'interrupted', 'ask+interrupted']) {
    expect(counts.get(kinds) ?? 0, `runs that end ${kinds}`).toBeGreaterThan(RUNS / 1_000);
  }
});

it('finds out about a switch that nobody saw, although the record in the definition was wiped', () => {
  const scenario = { count: 2, persistent: true, goal: 'pivot', pause: false, grows: 0 } as const;
  const fleet = newFleet(scenario.count, scenario);
  playUntil(decideGroup, fleet, BEGINNINGS.ordered ?? (() => true));
  for (const model of fleet.disks) setGoal(model, 'abort');
  lostSwitches(fleet, 0);
  for (const model of fleet.disks) otherWipesMetadata(model);
  expect(settle(decideGroup, fleet, [])).toContainEqual({ kind: 'ask', question: 'which-side' });
});

const alone: DecideGroup = ({ members }) => members.map(({ world, move }) => decideLayered(world, move));

/** Wrong engines that the simulation must notice. */
const MUTANTS: Readonly<Record<string, DecideGroup>> = {
  'moves each disk by itself': alone,
  'lets a disk give up when another has left its source': (view) => {
    const decisions = decideGroup(view);
    return alone(view).map((own, at) => {
      const gone = own.kind === 'act' && own.goal === 'abort' ? own : decisions[at];
      return gone ?? own;
    });
  },
  'takes the disks that it has found for all': (view) => decideGroup({ ...view, complete: true }),
  'leaves the guest paused': (view) =>
    decideGroup({
      ...view,
      members: view.members.map(({ world, move }) => ({ world, move: withoutPause(move) })),
    }),
  'ends the pause of another': (view) => decideGroup({ ...view, guest: { ...view.guest, paused: false } }),
};

function withoutPause(move: MoveRecord): MoveRecord {
  if (move.group === undefined) return move;
  const { paused: _, ...group } = move.group;
  return { ...move, group };
}

it.each(Object.entries(MUTANTS))(
  'would notice an engine that %s',
  (_, wrong) => {
    expect(() => check(RUNS, wrong)).toThrow();
  },
  120_000,
);

it('keeps every promise of copies in 6,000 random runs', { timeout: 120_000 }, () => {
  const counts = check(RUNS, decideGroup, COPIES);
  for (const kinds of ['copied', 'back']) {
    expect(counts.get(kinds) ?? 0, `runs that end ${kinds}`).toBeGreaterThan(RUNS / 1_000);
  }
});

const COPY_MUTANTS: Readonly<Record<string, DecideGroup>> = {
  'copies each disk by itself': alone,
  'keeps the copies of a disk before those of the others are complete': (view) => {
    const decisions = decideGroup(view);
    return alone(view).map((own, at) => {
      const keeps = own.kind === 'act' && own.step.name === 'keep-copies' ? own : decisions[at];
      return keeps ?? own;
    });
  },
  'takes the disks that it has found for all': (view) => decideGroup({ ...view, complete: true }),
};

it.each(Object.entries(COPY_MUTANTS))(
  'would notice a copying engine that %s',
  (_, wrong) => {
    expect(() => check(RUNS, wrong, COPIES)).toThrow();
  },
  120_000,
);
