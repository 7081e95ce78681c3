// Rounds are drawn from their numbers alone, and in hundreds of them everything comes up.
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { seeded } from '../crash/seeded.ts';
import { drawRound, VICTIMS_OF } from './draw.ts';

const drawn = Array.from({ length: 500 }, (_, number) => drawRound(seeded(number)));

test('the same number gives the same round', () => {
  const again = drawn.map((_, number) => drawRound(seeded(number)));
  assert.deepEqual(again, drawn);
});

test('every verb comes up, and everything dies in each that can', () => {
  for (const [verb, can] of Object.entries(VICTIMS_OF)) {
    const rounds = drawn.filter((round) => round.verb === verb);
    assert.deepEqual(new Set(rounds.flatMap(({ victims }) => victims)), new Set(can), verb);
  }
});

test('increments are made before and after each verb that changes or copies the disk', () => {
  const verbs = Object.keys(VICTIMS_OF).filter((verb) => verb !== 'backup');
  const amid = drawn.filter((round) => round.amid !== undefined);
  assert.deepEqual(new Set(amid.map(({ verb }) => verb)), new Set(verbs));
  assert.deepEqual(new Set(amid.map((round) => round.amid?.increments)), new Set([0, 1, 2]));
});
