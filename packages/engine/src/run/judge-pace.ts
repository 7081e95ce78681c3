// Whether a copy gets on: what is noted of it for the next look, and said to whoever watches.
import type { MoveRecord } from '../model/record.ts';
import type { Millis } from '../model/units.ts';
import type { World } from '../model/world.ts';
import type { Memory } from '../observe/memory.ts';
import type { Progress } from './progress.ts';
import type { Warn } from './strategy.ts';
import { divergingWords } from './warnings.ts';

export interface Judged {
  readonly move: MoveRecord;
  readonly progress: Progress;
  readonly memory: Memory;
  readonly answers: World['answers'];
  readonly warn: Warn;
}

/** Of a block job. */
export function judgePace({ move, progress, memory, answers, warn }: Judged): void {
  const pace = progress.pace();
  memory.flows = progress.flows();
  memory.standsStill = pace.kind === 'still';
  memory.diverging = pace.kind === 'diverging';
  const { synchronousWrites, converge } = move.options;
  // On the way back the guest is slowed, which is said then.
  const isBack = move.phase === 'undoing' || move.phase === 'returning';
  if (pace.kind === 'diverging' && !synchronousWrites && !converge && !isBack) {
    warn('not-converging', divergingWords(move));
  }
  if (pace.kind === 'still' && answers !== 'silent') warn('stands-still', stillWords(pace.forMs));
}

/** Of the copy of the layers. */
export function judgeLayers({ move, progress, memory, answers, warn }: Judged): void {
  const forMs = progress.layersStillFor(move.options.bandwidth);
  memory.standsStill = forMs !== undefined;
  if (forMs !== undefined && answers === 'yes') warn('stands-still', stillWords(forMs));
}

function stillWords(forMs: Millis): string {
  return `nothing was copied for ${Math.round(forMs / 1000)} s`;
}
