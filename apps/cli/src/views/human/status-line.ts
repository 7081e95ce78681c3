// The line of progress: redrawn on a terminal, printed now and then elsewhere, with other lines above it.
import type { Io } from '../../terminal/io.ts';
import { drawnProgress, type ProgressLine, plainProgress } from './progress-line.ts';

/** Where lines are not redrawn, at most one in this time; a change of phase always. */
const PLAIN_EVERY_MS = 2_000;

export class StatusLine {
  readonly #io: Io;
  readonly #now: () => number;
  #shown: ProgressLine | undefined;
  #drawn = false;
  #lastPlain = Number.NEGATIVE_INFINITY;

  /** @param now milliseconds on any monotonic clock */
  constructor(io: Io, now: () => number = () => performance.now()) {
    this.#io = io;
    this.#now = now;
  }

  show(line: ProgressLine, changed: boolean): void {
    this.#shown = line;
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
  line(text: string): void {
    const redraw = this.#drawn ? this.#shown : undefined;
    this.clear();
    this.#io.err(`${text}\n`);
    if (redraw !== undefined) this.show(redraw, true);
  }

  clear(): void {
    if (this.#drawn) this.#io.err('\r\x1b[K');
    this.#drawn = false;
  }
}
