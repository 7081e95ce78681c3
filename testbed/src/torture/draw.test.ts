// Rounds are drawn from their numbers alone, and in hundreds of them everything comes up.
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { seeded } from '../crash/seeded.ts';
import { drawRound, VICTIMS } from './draw.ts';

const drawn = Array.from({ length: 500 }, (_, number) => drawRound(seeded(number)));

test('the same number gives the same round', () => {
  const again = drawn.map((_, number) => drawRound(seeded(number)));
  assert.deepEqual(again, drawn);
});

test('every verb comes up, and everything dies in each that can', () => {
  for (const verb of ['move', 'image', 'backup', 'commit', 'flatten']) {
    const rounds = drawn.filter((round) => round.verb === verb);
    const died = new Set(rounds.flatMap(({ victims }) => victims));
    const shortens = verb === 'commit' || verb === 'flatten';
    const can = VICTIMS.filter((victim) => !shortens || !/daemon|destination/.test(victim));
    assert.deepEqual(died, new Set(can), verb);
  }
});
