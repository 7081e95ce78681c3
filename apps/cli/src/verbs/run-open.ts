// Runs what is open to its end: one move, or those of several disks that move as one.
import type { MoveRecord } from '@blockferry/engine';
import type { Result } from '../outcome/result.ts';
import type { Session } from '../session.ts';
import type { MoveView } from '../views/move-view.ts';
import type { OpenMoves } from './open-move.ts';
import { type RunToResult, runToResult } from './run-to-result.ts';
import { runTogether } from './run-together.ts';

export async function runOpen(
  session: Session,
  moves: OpenMoves,
  view: MoveView,
  options: RunToResult,
): Promise<Result> {
  for (const move of moves) view.continuing(move);
  const [first]: readonly MoveRecord[] = moves;
  const alone = first !== undefined && first.group === undefined;
  return alone ? runToResult(session, first, view, options) : runTogether(session, moves, view, options);
}
