// Twenty rounds in every check; hundreds by hand: npm run torture -- --runs 200.
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { it } from 'vitest';
import { torture } from './torture.ts';

const RUNS = 10;
const seed = randomInt(2 ** 31);

it.concurrent.each([1, 2])(
  `a layered move or an image survives random deaths of everything around it (seed ${seed}, lane %i)`,
  async (lane) => {
    const rounds = Array.from({ length: RUNS }, (_, at) => lane * 1000 + at);
    const score = await torture(`lane${lane}`, rounds, seed);
    assert.equal(score.moved + score.back + score.copied + score.answered, RUNS);
  },
  1_800_000,
);
