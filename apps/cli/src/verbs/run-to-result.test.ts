// What a result says was copied.
import { expect, it } from 'vitest';
import { atLeast } from './run-to-result.ts';

it.each([
  [undefined, undefined, undefined],
  [1n, undefined, 1n],
  [undefined, 5n, 5n],
  [1n, 5n, 5n],
  [7n, 5n, 7n],
])('reported %s, copied of frozen images %s: %s', (reported, copied, said) => {
  expect(atLeast(reported, copied)).toBe(said);
});
