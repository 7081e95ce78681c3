import { expect, test } from 'vitest';
import { slotCount } from './window-memory.ts';

const MiB = 1024n * 1024n;

test.each([
  ['plenty', 64n * 1024n * MiB, 100, 7],
  ['an eighth of what is left', 4n * 1024n * MiB, 100, 4],
  ['too little for it to be of use', 2n * 1024n * MiB, 100, 0],
  ['nothing', 0n, 100, 0],
  ['a copy of few windows', 64n * 1024n * MiB, 3, 3],
  ['a copy that is done at once', 64n * 1024n * MiB, 2, 0],
])('%s', (_, spare, windows, slots) => {
  expect(slotCount(spare, 128n * MiB, windows)).toBe(slots);
});

test('layers of no length need none', () => {
  expect(slotCount(1n << 40n, 0n, 0)).toBe(0);
});
