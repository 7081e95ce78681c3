// Units on screen.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatDuration, formatRate, percentOf } from './format.ts';

it('bytes a second make a rate', () => {
  expect(formatRate(50n << 20n)).toBe('50.0 MiB/s');
});

describe('a duration', () => {
  it.each([
    [0, '0 ms'],
    [24.4, '24 ms'],
    [999.4, '999 ms'],
    [999.6, '1.0 s'],
    [5_230, '5.2 s'],
    [59_940, '59.9 s'],
    [59_960, '1 min 00 s'],
    [200_000, '3 min 20 s'],
    [3_599_600, '1 h 00 min'],
    [7_500_000, '2 h 05 min'],
    [356_400_000, '4 d 03 h'],
  ])('of %s ms reads %s', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it('never shows sixty of anything', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e10, noNaN: true }), (ms) => {
        expect(formatDuration(ms)).not.toMatch(/\b60 (s|min)|\b24 h/);
      }),
    );
  });
});

describe('a percentage', () => {
  it('is 100 only when nothing is left', () => {
    expect(percentOf(999_999n, 1_000_000n)).toBe(99);
    expect(percentOf(1_000_000n, 1_000_000n)).toBe(100);
  });

  it('is 0 while the job has not said how much there is', () => {
    expect(percentOf(0n, 0n)).toBe(0);
  });
});
