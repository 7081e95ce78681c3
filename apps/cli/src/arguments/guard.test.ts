// --guard as people type it.
import { ratioOf } from '@blockferry/engine';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseGuard } from './guard.ts';
import { UsageError } from './usage-error.ts';

describe('--guard', () => {
  it.each([
    ['2', 2],
    ['1.5', 1.5],
    ['3x', 3],
    [' 2.25X ', 2.25],
    ['off', 'off'],
    ['OFF', 'off'],
    ['1000', 1000],
    ['p95:2', { p95: 2 }],
    ['P95:1.5x', { p95: 1.5 }],
  ])('%j is %s', (text, ratio) => {
    expect(parseGuard(text)).toEqual(ratio);
  });

  it('is 2 when it is not given', () => {
    expect(parseGuard(undefined)).toBe(2);
  });

  it.each([
    '',
    '1',
    '0.5',
    '0',
    '-2',
    '1.',
    '.5',
    '1e3',
    'on',
    'NaN',
    'Infinity',
    '2 x',
    '1001',
    '0x10',
    'p95',
    'p95:',
    'p95:1',
    'p99:2',
  ])('%j is refused', (text) => {
    expect(() => parseGuard(text)).toThrow(UsageError);
  });

  it('is a ratio above 1 or off, or is refused, whatever is typed', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          const guard = parseGuard(text);
          expect(guard === 'off' || ratioOf(guard) > 1).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
        }
      }),
    );
  });
});
