// What a command on a move shows, whichever view it is.
import type { MoveRecord, Plan, Report } from '@blockferry/engine';
import type { Result } from '../outcome/result.ts';

export interface MoveView {
  plan(plan: Plan): void;
  /** An open move is picked up. */
  continuing(move: MoveRecord): void;
  /** The disk that is reported on from here on, where there are several. */
  about(move: MoveRecord): void;
  report(report: Report): void;
  /** Ctrl-C was noticed. */
  stopping(): void;
  /** The last word on one move. */
  result(result: Result): void;
}
