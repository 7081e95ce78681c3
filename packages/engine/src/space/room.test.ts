// What is kept free counts as taken, and the refusal says so in units that people read.
import { expect, test } from 'vitest';
import { hasRoom, tooSmall } from './room.ts';

const GiB = 1n << 30n;
// Of 100 GiB, 512 MiB are kept free.
const space = { available: 10n * GiB, total: 100n * GiB };

test('there is room beside what is kept free', () => {
  expect(hasRoom(10n * GiB - (512n << 20n), space)).toBe(true);
  expect(hasRoom(10n * GiB - (512n << 20n) + 1n, space)).toBe(false);
});

test('a file system that does not tell its size has room', () => {
  expect(hasRoom(GiB, { available: 0n, total: 0n })).toBe(true);
});

test('the refusal tells what is needed, what is there, and what of that is kept', () => {
  const refusal = tooSmall('the copies need', 12n * GiB, '/images', space, 'make room there');
  expect(refusal).toMatchObject({
    code: 'destination-too-small',
    message:
      'the copies need 12.0 GiB, and /images has 10.0 GiB free, of which 512 MiB are kept free for whoever else writes there',
    facts: { need: 12n * GiB, have: 10n * GiB },
    hint: 'make room there',
  });
});
