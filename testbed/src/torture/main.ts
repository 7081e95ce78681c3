// `npm run torture -- --runs N --seed S [--from R]`: layered moves through random deaths of everything around them.
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { torture } from './torture.ts';

const { values } = parseArgs({
  options: { runs: { type: 'string' }, seed: { type: 'string' }, from: { type: 'string' } },
});
const runs = Number(values.runs ?? 20);
const seed = Number(values.seed ?? randomInt(2 ** 31));
const from = Number(values.from ?? 1);
if (!(runs > 0) || !Number.isFinite(seed) || !(from > 0)) {
  process.stderr.write('usage: npm run torture -- [--runs N] [--seed S] [--from R]\n');
  process.exit(2);
}
const rounds = Array.from({ length: runs }, (_, at) => from + at);
const score = await torture('torture', rounds, seed, (words) => process.stdout.write(`${words}\n`));
process.stdout.write(
  `seed ${seed}, ${runs} rounds: ${score.moved} moved, ${score.back} back, ${score.copied} images, ${score.answered} after a question; 0 acknowledged writes lost, 0 unfinished, 0 unlisted files\n`,
);
