// A move for people: the plan, progress that is redrawn on a terminal and printed now and then elsewhere, the end.
import {
  type MoveRecord,
  type Plan,
  type ProgressReport,
  type Report,
  unreachable,
} from '@blockferry/engine';
import type { Result } from '../../outcome/result.ts';
import { continuingWords, phaseWords } from '../../outcome/work-words.ts';
import type { Io } from '../../terminal/io.ts';
import type { MoveView } from '../move-view.ts';
import { planBlock } from './plan.ts';
import { resultText } from './result.ts';
import { StatusLine } from './status-line.ts';

export class HumanMoveView implements MoveView {
  readonly #io: Io;
  readonly #status: StatusLine;
  /** Of several disks that move as one: whose phase and progress these are. */
  #disk: string | undefined;
  readonly #others = new Map<
    string,
    { readonly phase: string; readonly progress: ProgressReport | undefined }
  >();
  #move: Pick<MoveRecord, 'strategy' | 'copy'> = { strategy: 'mirror' };
  #phase = 'starting';
  #progress: ProgressReport | undefined;

  /** @param now milliseconds on any monotonic clock */
  constructor(io: Io, now: () => number = () => performance.now()) {
    this.#io = io;
    this.#status = new StatusLine(io, now);
  }

  plan(plan: Plan): void {
    this.#move = plan.move;
    this.#io.out(planBlock(plan));
    for (const { message } of plan.warnings) this.#status.line(`warning: ${message}`);
  }

  continuing(move: MoveRecord): void {
    this.#move = move;
    const undoes = move.goal === 'abort' || (move.goal === 'keep' && move.copy === undefined);
    this.#phase = undoes ? 'undoing' : phaseWords(move);
    this.#progress = undefined;
    this.#status.line(continuingWords(move));
  }

  about({ disk, group }: MoveRecord): void {
    if (group === undefined || disk === this.#disk) return;
    if (this.#disk !== undefined) {
      this.#others.set(this.#disk, { phase: this.#phase, progress: this.#progress });
    }
    const { phase, progress } = this.#others.get(disk) ?? { phase: this.#phase, progress: undefined };
    this.#disk = disk;
    this.#phase = phase;
    this.#progress = progress;
  }

  report(report: Report): void {
    switch (report.type) {
      case 'phase':
        this.#phase = phaseWords({ ...this.#move, ...report });
        if (report.goal === 'hold' && report.phase === 'copying') this.#phase += ' (hold)';
        this.#progress = isOtherWork(report.phase) ? undefined : withoutPace(this.#progress);
        this.#show(true);
        return;
      case 'progress':
        this.#progress = report;
        this.#show(false);
        return;
      case 'round':
        this.#status.line(
          `round ${report.round}: the guest has written so much meanwhile that this is copied like the rest`,
        );
        return;
      case 'warning':
        this.#status.line(`warning: ${report.message}`);
        return;
      case 'step':
      case 'waiting':
        return;
      default:
        unreachable(report);
    }
  }

  stopping(): void {
    this.#status.line('stopping; once more to stop at once');
  }

  result(result: Result): void {
    this.#status.clear();
    const failed = result.error !== undefined;
    (failed ? this.#io.err : this.#io.out)(resultText(result));
  }

  #show(changed: boolean): void {
    this.#status.show({ disk: this.#disk, phase: this.#phase, progress: this.#progress }, changed);
  }
}

/** Phases that have a job of their own: what was told of the copy is nothing to them. */
function isOtherWork(phase: MoveRecord['phase']): boolean {
  return phase === 'undoing' || phase === 'collapsing';
}

function withoutPace(progress: ProgressReport | undefined): ProgressReport | undefined {
  return progress && { ...progress, rate: undefined, etaMs: undefined };
}
