// Rounds of torture in every check; hundreds by hand: npm run torture -- --runs 200.
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { it } from 'vitest';
import { tortureMigrations } from './migrations.ts';
import { torture } from './torture.ts';

const RUNS = 10;
const MIGRATIONS = 6;
const seed = randomInt(2 ** 31);
const numbers = (count: number, from: number) => Array.from({ length: count }, (_, at) => from + at);

it.concurrent.each([1, 2])(
  `whatever is done to a disk survives random deaths of everything around it (seed ${seed}, lane %i)`,
  async (lane) => {
    const score = await torture(`lane${lane}`, numbers(RUNS, lane * 1000), seed);
    assert.equal(score.done + score.back + score.answered, RUNS);
  },
  1_800_000,
);

it.concurrent(`a migration survives random deaths on both hosts (seed ${seed})`, async () => {
  const score = await tortureMigrations(numbers(MIGRATIONS, 1), seed);
  assert.equal(score.migrated + score.home, MIGRATIONS);
}, 1_800_000);
