import fc from 'fast-check';
import { expect, test } from 'vitest';
import { binStartUs, latenciesOf, readBins } from './latencies.ts';
import { DiskReport } from './report.ts';

test('bins begin where the writer says', () => {
  expect([0, 7, 8, 15, 16, 17, 24].map(binStartUs)).toEqual([0, 7, 8, 15, 16, 18, 32]);
  fc.assert(fc.property(fc.integer({ min: 0, max: 254 }), (bin) => binStartUs(bin) < binStartUs(bin + 1)));
});

test('lines are put together: means and extremes exactly, percentiles by bins', () => {
  const report = new DiskReport('vda');
  report.read('@vda L n=2 sum_us=100 max_us=60 gap_us=2000 h=28:1,29:1 t=1000');
  report.read('@vda L n=98 sum_us=9800 max_us=100 gap_us=2100 h=36:98 t=2000');
  report.read('@vda L n=1 sum_us=70000 max_us=70000 gap_us=70100 h=113:1 t=3000');
  expect(latenciesOf(report.latencies.slice(1), report.latencies[0])).toEqual({
    writes: 99,
    meanMs: expect.closeTo(79.8 / 99, 6),
    p50Ms: expect.closeTo(0.1, 1),
    p95Ms: expect.closeTo(0.1, 1),
    p99Ms: expect.any(Number),
    worstMs: 70,
    longestGapMs: 70.1,
    writesPerSecond: 49.5,
  });
});

test('a line that something else wrote into counts for nothing', () => {
  const report = new DiskReport('vda');
  report.read('@vda L n=2 sum_us=100 max_us=60 gap_us=2000 h=28:1,2[  3.1] random: t=1000');
  report.read('@vdb L n=2 sum_us=100 max_us=60 gap_us=2000 h=28:2 t=1000');
  expect(report.latencies).toEqual([]);
});

test('nothing written is nothing felt', () => {
  expect(latenciesOf([], undefined)).toMatchObject({ writes: 0, meanMs: 0, p99Ms: 0, writesPerSecond: 0 });
  expect(readBins('8:3,17:1')).toEqual(
    new Map([
      [8, 3],
      [17, 1],
    ]),
  );
});
