// `npm run torture -- --runs N --seed S [--from R] [--increments | --migrate]`: one thing after another is done to a guest's
// disk (of the rounds, those with increments alone), or the guest is migrated to and fro, through random deaths of everything
// around it.
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { tortureMigrations } from './migrations.ts';
import { drawnAs, torture } from './torture.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string' },
    seed: { type: 'string' },
    from: { type: 'string' },
    increments: { type: 'boolean' },
    migrate: { type: 'boolean' },
  },
});
const runs = Number(values.runs ?? 20);
const seed = Number(values.seed ?? randomInt(2 ** 31));
const from = Number(values.from ?? 1);
if (!(runs > 0) || !Number.isFinite(seed) || !(from > 0)) {
  process.stderr.write(
    'usage: npm run torture -- [--runs N] [--seed S] [--from R] [--increments | --migrate]\n',
  );
  process.exit(2);
}
const rounds: number[] = [];
for (let round = from; rounds.length < runs; round++) {
  if (!values.increments || drawnAs(seed, round).amid !== undefined) rounds.push(round);
}
const tell = (words: string) => process.stdout.write(`${words}\n`);
const score = await (values.migrate
  ? tortureMigrations(rounds, seed, tell)
  : torture('torture', rounds, seed, tell));
const counts = Object.entries(score).map(([outcome, count]) => `${count} ${outcome}`);
tell(
  `seed ${seed}, ${runs} rounds: ${counts.join(', ')}; 0 acknowledged writes lost, 0 unfinished, 0 unlisted files`,
);
