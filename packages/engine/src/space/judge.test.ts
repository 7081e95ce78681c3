// Room that shrinks is noticed while there is time to do something.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { floorOf, MOST_KEPT_FREE } from './floor.ts';
import { judgeSpace } from './judge.ts';

const MiB = 1024n * 1024n;

/** A look each two seconds, at room that shrinks by so much in between. */
function looks(available: bigint, perLook: bigint, count = 6, copiedPerLook = 0n) {
  return Array.from({ length: count }, (_, at) => ({
    atMs: at * 2_000,
    available: available - BigInt(at) * perLook,
    copied: BigInt(at) * copiedPerLook,
  }));
}

test('full before the copy is through: says when', () => {
  const state = judgeSpace(looks(1_100n * MiB, 20n * MiB), 50n * MiB, 120_000);
  expect(state).toEqual({ kind: 'short', lastsMs: 100_000 });
});

test('time enough, or room that grows, is nothing to speak of', () => {
  expect(judgeSpace(looks(1_100n * MiB, 20n * MiB), 50n * MiB, 60_000)).toEqual({ kind: 'enough' });
  expect(judgeSpace(looks(1_100n * MiB, -20n * MiB), 50n * MiB, 600_000)).toEqual({ kind: 'enough' });
});

test('what the copy itself writes there is not what the guest writes', () => {
  const samples = looks(1_100n * MiB, 20n * MiB, 6, 20n * MiB);
  expect(judgeSpace(samples, 50n * MiB, 120_000)).toEqual({ kind: 'enough' });
});

test('a round that counts anew is not the guest writing all that the one before copied', () => {
  const before = looks(9_000n * MiB, 500n * MiB, 6, 500n * MiB);
  const after = looks(6_500n * MiB, 1n * MiB, 6, 0n).map((look) => ({ ...look, atMs: look.atMs + 12_000 }));
  for (let count = 1; count <= after.length; count++) {
    const samples = [...before, ...after.slice(0, count)];
    expect(judgeSpace(samples, 50n * MiB, undefined)).toEqual({ kind: 'enough' });
  }
});

test('two looks are too few for a rate', () => {
  expect(judgeSpace(looks(1_100n * MiB, 200n * MiB, 2), 50n * MiB, undefined)).toEqual({ kind: 'enough' });
});

test('below the floor it is low, whatever the rate', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -100n, max: 100n }), fc.integer({ min: 1, max: 9 }), (perLook, count) => {
      const samples = looks(10n * MiB, perLook, count);
      expect(judgeSpace(samples, 11n * MiB, undefined)).toEqual({ kind: 'low' });
    }),
  );
});

test('the floor is a twentieth, and never more than what is written before it is noticed', () => {
  expect(floorOf(64n * MiB)).toBe((64n * MiB) / 20n);
  expect(floorOf(1n << 50n)).toBe(MOST_KEPT_FREE);
  expect(floorOf(0n)).toBe(0n);
});
