// How fast the copying is, and how long the rest takes.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { LayersProgress } from '../observe/memory.ts';
import { Progress } from './progress.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const layers = (copied: bigint, readBack: bigint | undefined): LayersProgress => ({
  ...{ copied, copiedBefore: 0n, verified: 0n, readBack, moved: copied, total: 1_000n },
  ...{ space: 'enough', guard: undefined },
});

it('once all is copied, what is still to come is the reading back', async () => {
  const progress = new Progress();
  await progress.sampleLayers(undefined, 'vda', layers(1_000n, 200n));
  vi.advanceTimersByTime(1_000);
  const report = await progress.sampleLayers(undefined, 'vda', layers(1_000n, 300n));
  expect(report).toMatchObject({ rate: 0n, readBack: 300n, readBackRate: 100n, etaMs: 7_000 });
  expect(progress.latest.etaMs).toBe(7_000);
});

it('until then it is the copying; and where nothing is read back, nothing is said of that', async () => {
  const progress = new Progress();
  await progress.sampleLayers(undefined, 'vda', layers(200n, 0n));
  vi.advanceTimersByTime(1_000);
  const report = await progress.sampleLayers(undefined, 'vda', layers(400n, 100n));
  expect(report).toMatchObject({ rate: 200n, readBackRate: 100n, etaMs: 3_000 });
  expect(await progress.sampleLayers(undefined, 'vda', layers(400n, undefined))).not.toHaveProperty(
    'readBack',
  );
});

it('a copy that has not moved for a while stands still, unless it waits for room or may do next to nothing', async () => {
  const progress = new Progress();
  const after = async (ms: number, more: Partial<LayersProgress> = {}) => {
    vi.advanceTimersByTime(ms);
    await progress.sampleLayers(undefined, 'vda', { ...layers(1_000n, 200n), ...more });
    return progress.layersStillFor();
  };
  expect(await after(0)).toBeUndefined();
  expect(await after(4_000)).toBeUndefined();
  expect(await after(2_000)).toBe(6_000);
  expect(progress.layersStillFor(64n << 10n)).toBeUndefined();
  expect(await after(500, { moved: 1_001n })).toBeUndefined();
  expect(await after(6_000, { moved: 1_001n, space: 'full' })).toBeUndefined();
  expect(await after(500, { moved: 1_001n })).toBeUndefined();
});

it('what earlier runs have copied is no speed of this one', async () => {
  const progress = new Progress();
  await progress.sampleLayers(undefined, 'vda', { ...layers(0n, 0n), total: 0n });
  vi.advanceTimersByTime(1_000);
  const begun = await progress.sampleLayers(undefined, 'vda', layers(900n, 800n));
  expect([begun.rate, begun.readBackRate]).toEqual([undefined, undefined]);
});
