// Many rounds of torture, each from its own number, so that one alone can be played again.
import { type Berth, makeBerth, startHarbour } from '../crash/berth.ts';
import { seeded } from '../crash/seeded.ts';
import { drawRound, type Round } from './draw.ts';
import { type Outcome, playRound } from './run.ts';

const CHAIN = { layers: ['base', 'snap1', 'snap2'] } as const;

export type Score = Record<Outcome, number>;

/**
 * Plays the rounds one after another on a host and a guest of their own.
 *
 * @param told called before each round, with what it does
 * @throws AssertionError of the first round whose promises do not hold, which says how to play it again
 */
export async function torture(
  name: string,
  rounds: readonly number[],
  seed: number,
  told: (words: string) => void = () => {},
): Promise<Score> {
  await using ends = new AsyncDisposableStack();
  await using host = await startHarbour();
  const berth: Berth = await makeBerth(host, name, CHAIN);
  const score: Score = { done: 0, back: 0, answered: 0 };
  for (const round of rounds) {
    const drawn = drawnAs(seed, round);
    const what = `round ${round} of seed ${seed}: ${wordsFor(drawn)}`;
    told(what);
    score[await playRound(berth, what, drawn, ends)] += 1;
  }
  return score;
}

/** What a round of this number is. */
export function drawnAs(seed: number, round: number): Round {
  return drawRound(seeded(seed * 1_000_003 + round));
}

function wordsFor({ verb, amid, victims, afterMs, slow }: Round): string {
  const points = amid && ` on a full one and ${amid.increments}${amid.moved ? ', moved' : ''}`;
  const what =
    verb === 'increment' ? `increment${points}` : `${verb}${points ? ` amid increments${points}` : ''}`;
  return `${what}, ${victims.join(', ')} after ${afterMs} ms${slow ? ', slow' : ''}`;
}
