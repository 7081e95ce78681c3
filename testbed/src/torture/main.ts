// `npm run torture`: one thing after another is done to a guest's disk, or the guest is migrated to and fro, through random
// deaths of everything around it.
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { tortureMigrations } from './migrations.ts';
import { drawnAs, torture } from './torture.ts';

const USAGE = `npm run torture -- [options]
  --runs N        rounds (default 20)
  --seed S        of what is drawn: the same seed plays the same rounds (default: another one each time)
  --from R        the first round (default 1)
  --increments    only rounds amid incremental backups
  --migrate       migrations between two hosts instead
`;

interface Asked {
  readonly runs: number;
  readonly seed: number;
  readonly from: number;
  readonly increments: boolean;
  readonly migrate: boolean;
}

/** @throws Error that says what is wrong */
function asked(): Asked | 'help' {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const options = { runs: text, seed: text, from: text, increments: flag, migrate: flag, help: flag };
  const {
    runs = '20',
    seed = `${randomInt(2 ** 31)}`,
    from = '1',
    help,
    ...kind
  } = parseArgs({ options }).values;
  if (help) return 'help';
  const numbers = { runs: Number(runs), seed: Number(seed), from: Number(from) };
  const wrong = Object.entries(numbers).find(([, value]) => !Number.isSafeInteger(value) || value < 0);
  if (wrong !== undefined) throw new Error(`--${wrong[0]} is not a number`);
  return { ...numbers, ...kind };
}

function roundsOf({ runs, seed, from, increments }: Asked): readonly number[] {
  const rounds: number[] = [];
  for (let round = from; rounds.length < runs; round++) {
    if (!increments || drawnAs(seed, round).amid !== undefined) rounds.push(round);
  }
  return rounds;
}

async function play(what: Asked): Promise<void> {
  const { seed, runs, migrate } = what;
  const rounds = roundsOf(what);
  const tell = (words: string) => process.stdout.write(`${words}\n`);
  const score = await (migrate
    ? tortureMigrations(rounds, seed, tell)
    : torture('torture', rounds, seed, tell));
  const counts = Object.entries(score).map(([outcome, count]) => `${count} ${outcome}`);
  tell(
    `seed ${seed}, ${runs} rounds: ${counts.join(', ')}; 0 acknowledged writes lost, 0 unfinished, 0 unlisted files`,
  );
}

function understood(): Asked | 'help' | undefined {
  try {
    return asked();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n${USAGE}`);
    return undefined;
  }
}

const what = understood();
if (what === undefined) process.exitCode = 2;
else if (what === 'help') process.stdout.write(USAGE);
else await play(what);
