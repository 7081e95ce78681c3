// The guard beside a simulated disk: it settles under the bound, and leaves little of the disk unused.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Guard, type GuardVerdict } from '../guard.ts';
import { type LatencySample, meanMs, NOTHING, together } from '../latency.ts';
import { type DiskModel, expectedMs, fastestWithin, type GuestLoad, randomFrom, SharedDisk } from './disk.ts';

const MB = 1_000_000;
const disks: fc.Arbitrary<DiskModel> = fc.record({
  capacity: fc.integer({ min: 60, max: 3000 }).map((n) => n * MB),
  aloneMs: fc.double({ min: 0.3, max: 12, noNaN: true }),
  contention: fc.double({ min: 0.15, max: 6, noNaN: true }),
  noise: fc.double({ min: 0, max: 0.7, noNaN: true }),
});
const loads: fc.Arbitrary<GuestLoad> = fc.record({
  writesPerSecond: fc.integer({ min: 150, max: 5000 }),
  bytesPerWrite: fc.constant(16_384),
});
const ratios = fc.double({ min: 1.5, max: 5, noNaN: true });
const seeds = fc.integer();

interface Step {
  readonly verdict: GuardVerdict;
  readonly sample: LatencySample;
  readonly rate: number;
}

function listenBefore(guard: Guard, disk: SharedDisk): void {
  for (let n = 0; n < 8; n++) guard.baseline(disk.idle());
}

/** What the copy tells of a rate: it itself, it in lumps of every second or third step, or nothing at all. */
type Telling = (rate: number, step: number) => number;
const exactly: Telling = (rate) => rate;
const inLumps =
  (every: number): Telling =>
  (rate, step) =>
    step % every === 0 ? every * rate : 0;
const nothing: Telling = () => 0;

function copyFor(
  guard: Guard,
  disk: SharedDisk,
  seconds: number,
  from = guard.first,
  tell: Telling = exactly,
): Step[] {
  const steps: Step[] = [];
  let verdict = from;
  for (let n = 0; n < seconds * 5; n++) {
    const { sample, rate } = disk.step(Number(verdict.limit));
    verdict = guard.observe(sample, BigInt(Math.round(tell(rate, n))));
    steps.push({ verdict, sample, rate });
  }
  return steps;
}

const feltIn = (steps: readonly Step[]) =>
  meanMs(steps.reduce((sum, { sample }) => together(sum, sample), NOTHING).writes) ?? 0;
const rateIn = (steps: readonly Step[]) => steps.reduce((sum, { rate }) => sum + rate, 0) / steps.length;

/**
 * Chance may spoil a run: the disk's noise is what the guard hears, too. Of all runs it may be a twentieth, of which the
 * first is told.
 */
function inMostOf<T>(runs: number, runsDrawn: fc.Arbitrary<T>, promise: (drawn: T) => void): void {
  const broken = fc.sample(runsDrawn, runs).flatMap((drawn) => {
    try {
      promise(drawn);
      return [];
    } catch (error) {
      return [`${fc.stringify(drawn)}: ${String(error)}`];
    }
  });
  expect(broken.length, broken[0] ?? '').toBeLessThanOrEqual(runs / 20);
}

describe('beside a guest that writes all the time', () => {
  it('the mean write settles under the bound, on any disk', () => {
    inMostOf(150, fc.tuple(disks, loads, ratios, seeds), ([model, load, ratio, seed]) => {
      const disk = new SharedDisk(model, load, seed);
      const guard = new Guard({ ratio });
      listenBefore(guard, disk);
      copyFor(guard, disk, 6);
      const felt = feltIn(copyFor(guard, disk, 20, guard.first));
      const floor = expectedMs(model, 4 * 1024 * 1024);
      expect(felt).toBeLessThan(Math.max(ratio * model.aloneMs, floor) * 1.1);
    });
  });

  it('the copy gets most of what the bound leaves it, even while it settles', () => {
    inMostOf(150, fc.tuple(disks, loads, ratios, seeds), ([model, load, ratio, seed]) => {
      const disk = new SharedDisk(model, load, seed);
      const guard = new Guard({ ratio });
      listenBefore(guard, disk);
      copyFor(guard, disk, 6);
      const rate = rateIn(copyFor(guard, disk, 20, guard.first));
      expect(rate).toBeGreaterThan(0.5 * fastestWithin(model, ratio));
    });
  });

  it('the speed, once settled, swings little', () => {
    // Near the floor there is no room to swing in, and what is there is a large part of little.
    const roomy = fc
      .tuple(disks, loads, ratios, seeds)
      .filter(([model, , ratio]) => fastestWithin(model, ratio) > 12 * MB);
    inMostOf(100, roomy, ([model, load, ratio, seed]) => {
      const calm = { ...model, noise: 0.3 };
      const disk = new SharedDisk(calm, load, seed);
      const guard = new Guard({ ratio });
      listenBefore(guard, disk);
      copyFor(guard, disk, 8);
      const rates = copyFor(guard, disk, 15, guard.first)
        .filter(({ verdict }) => verdict.state !== 'listening')
        .map(({ rate }) => rate)
        .sort((a, b) => a - b);
      const at = (share: number) => rates[Math.floor(share * rates.length)] ?? 0;
      expect(at(0.9)).toBeLessThan(2 * at(0.2));
    });
  });
});

describe('a copy that tells of itself badly', () => {
  it.each([
    ['in every second step', inLumps(2)],
    ['in every third step', inLumps(3)],
    ['never', nothing],
  ])('%s, is guarded and gets on nevertheless', (_, tell) => {
    inMostOf(100, fc.tuple(disks, loads, ratios, seeds), ([model, load, ratio, seed]) => {
      const disk = new SharedDisk(model, load, seed);
      const guard = new Guard({ ratio });
      listenBefore(guard, disk);
      copyFor(guard, disk, 5, guard.first, tell === nothing ? exactly : tell);
      copyFor(guard, disk, 3, guard.first, tell);
      const steps = copyFor(guard, disk, 20, guard.first, tell);
      const floor = expectedMs(model, 4 * 1024 * 1024);
      expect(feltIn(steps)).toBeLessThan(Math.max(ratio * model.aloneMs, floor) * 1.15);
      expect(rateIn(steps)).toBeGreaterThan(0.4 * fastestWithin(model, ratio));
    });
  });
});

describe('when something changes', () => {
  const model: DiskModel = { capacity: 600 * MB, aloneMs: 0.7, contention: 1, noise: 0.4 };
  const load: GuestLoad = { writesPerSecond: 500, bytesPerWrite: 16_384 };

  it('a guest that was idle at first is heard when it wakes, and protected from then on', () => {
    const disk = new SharedDisk(model, { ...load, writesPerSecond: 0 }, 1);
    const guard = new Guard({ ratio: 2 });
    listenBefore(guard, disk);
    expect(guard.first).toMatchObject({ limit: 0n, state: 'free' });
    expect(rateIn(copyFor(guard, disk, 3))).toBeGreaterThan(500 * MB);
    disk.load = load;
    const waking = copyFor(guard, disk, 6, guard.first);
    expect(waking.some(({ verdict }) => verdict.state === 'listening')).toBe(true);
    const after = copyFor(guard, disk, 20, guard.first);
    expect(feltIn(after)).toBeLessThan(2 * 0.7 * 1.1);
    expect(rateIn(after)).toBeGreaterThan(0.5 * fastestWithin(model, 2));
  });

  it('a guest that falls silent gives the disk back', () => {
    const disk = new SharedDisk(model, load, 2);
    const guard = new Guard({ ratio: 1.2 });
    listenBefore(guard, disk);
    copyFor(guard, disk, 10);
    disk.load = { ...load, writesPerSecond: 0 };
    copyFor(guard, disk, 5, guard.first);
    expect(rateIn(copyFor(guard, disk, 5, guard.first))).toBeGreaterThan(500 * MB);
  });

  it('a storage that becomes slow for other reasons does not hold the copy at its floor for ever', () => {
    const disk = new SharedDisk(model, load, 3);
    const guard = new Guard({ ratio: 2 });
    listenBefore(guard, disk);
    copyFor(guard, disk, 10);
    disk.model = { ...model, aloneMs: 5 };
    copyFor(guard, disk, 30, guard.first);
    const after = copyFor(guard, disk, 20, guard.first);
    expect(rateIn(after)).toBeGreaterThan(0.5 * fastestWithin(disk.model, 2));
    expect(feltIn(after)).toBeLessThan(2 * 5 * 1.1);
  });

  it('on storage that others disturb by the second, it neither starves the copy nor gives the guest up', () => {
    inMostOf(40, fc.tuple(seeds), ([seed]) => {
      const disk = new SharedDisk(model, load, seed);
      const random = randomFrom(seed);
      const guard = new Guard({ ratio: 2 });
      listenBefore(guard, disk);
      let [alone, possible] = [0, 0];
      const steps: Step[] = [];
      for (let second = 0; second < 120; second++) {
        if (random() < 0.3) disk.model = { ...model, aloneMs: 0.7 * 6 ** random() };
        steps.push(...copyFor(guard, disk, 1, guard.first));
        alone += disk.model.aloneMs / 120;
        possible += fastestWithin(disk.model, 2) / 120;
      }
      expect(feltIn(steps)).toBeLessThan(2 * alone * 1.3);
      expect(rateIn(steps)).toBeGreaterThan(0.25 * possible);
    });
  });

  it('a bad moment at the beginning, when the copy is slow, does not keep it slow', () => {
    inMostOf(100, fc.tuple(seeds), ([seed]) => {
      const disk = new SharedDisk({ ...model, contention: 0.3 }, load, seed);
      const guard = new Guard({ ratio: 2 });
      listenBefore(guard, disk);
      disk.model = { ...disk.model, aloneMs: 2 };
      copyFor(guard, disk, 1);
      disk.model = { ...disk.model, aloneMs: model.aloneMs };
      const rate = rateIn(copyFor(guard, disk, 3, guard.first));
      expect(rate).toBeGreaterThan(0.2 * fastestWithin(disk.model, 2));
    });
  });

  it('a guest that begins to write larger blocks gets a baseline of its own', () => {
    const disk = new SharedDisk(model, load, 4);
    const guard = new Guard({ ratio: 2 });
    listenBefore(guard, disk);
    copyFor(guard, disk, 10);
    disk.load = { writesPerSecond: 300, bytesPerWrite: 262_144 };
    disk.model = { ...model, aloneMs: 3 };
    copyFor(guard, disk, 12, guard.first);
    expect(guard.observe(undefined, 0n).baselineMs).toBeCloseTo(3, 0);
  });
});
