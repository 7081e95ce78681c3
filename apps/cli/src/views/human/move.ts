// A move for people: the plan, progress that is redrawn on a terminal and printed now and then elsewhere, the end.
import {
  type MoveRecord,
  type Plan,
  type ProgressReport,
  type Report,
  unreachable,
} from '@blockferry/engine';
import { continuingWords, type Result } from '../../outcome/result.ts';
import type { Io } from '../../terminal/io.ts';
import type { MoveView } from '../move-view.ts';
import { planBlock } from './plan.ts';
import { drawnProgress, plainProgress } from './progress-line.ts';
import { resultText } from './result.ts';

/** Where lines are not redrawn, at most one in this time; a change of phase always. */
const PLAIN_EVERY_MS = 2_000;

export class HumanMoveView implements MoveView {
  readonly #io: Io;
  readonly #now: () => number;
  #phase = 'starting';
  #progress: ProgressReport | undefined;
  #drawn = false;
  #lastPlain = Number.NEGATIVE_INFINITY;

  /** @param now milliseconds on any monotonic clock */
  constructor(io: Io, now: () => number = () => performance.now()) {
    this.#io = io;
    this.#now = now;
  }

  plan(plan: Plan): void {
    this.#io.out(planBlock(plan));
    for (const { message } of plan.warnings) this.#line(`warning: ${message}`);
  }

  continuing(move: MoveRecord): void {
    this.#phase = move.goal === 'abort' || move.goal === 'keep' ? 'undoing' : move.phase;
    this.#progress = undefined;
    this.#line(continuingWords(move));
  }

  report(report: Report): void {
    switch (report.type) {
      case 'phase':
        this.#phase = report.goal === 'hold' && report.phase === 'copying' ? 'copying (hold)' : report.phase;
        this.#show(true);
        return;
      case 'progress':
        this.#progress = report;
        this.#show(false);
        return;
      case 'round':
        this.#line(
          `round ${report.round}: the guest has written so much meanwhile that this is copied like the rest`,
        );
        return;
      case 'warning':
        this.#line(`warning: ${report.message}`);
        return;
      case 'step':
      case 'waiting':
        return;
      default:
        unreachable(report);
    }
  }

  stopping(): void {
    this.#line('stopping; once more to stop at once');
  }

  result(result: Result): void {
    this.#clear();
    const failed = result.error !== undefined;
    (failed ? this.#io.err : this.#io.out)(resultText(result));
  }

  #show(changed: boolean): void {
    const line = { phase: this.#phase, progress: this.#progress };
    if (this.#io.errIsTerminal) {
      // Carriage return, then erase to the end of the line (ECMA-48 EL).
      this.#io.err(`\r${drawnProgress(line, this.#io.columns())}\x1b[K`);
      this.#drawn = true;
      return;
    }
    const now = this.#now();
    if (!changed && now - this.#lastPlain < PLAIN_EVERY_MS) return;
    this.#lastPlain = now;
    this.#io.err(`${plainProgress(line)}\n`);
  }

  /** A line of its own; the progress is drawn again below it. */
  #line(text: string): void {
    const redraw = this.#drawn;
    this.#clear();
    this.#io.err(`${text}\n`);
    if (redraw) this.#show(true);
  }

  #clear(): void {
    if (this.#drawn) this.#io.err('\r\x1b[K');
    this.#drawn = false;
  }
}
