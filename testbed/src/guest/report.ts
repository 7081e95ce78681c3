// Reads the guest's report from the log of its serial port: what it says it flushed, and how long that took.
import type { WriterPlan } from './blocks.ts';
import { type LatencyCounts, readBins } from './latencies.ts';

/** The guest read a slot back and found another block than the one it had written last. */
export type BadReadback = {
  readonly seq: number;
  readonly slot: number;
  readonly want: number;
  readonly got: number;
};

/** One life of the guest, from boot to end: where it began, and the last number it reported as flushed. */
export type Life = { readonly incarnation: number; readonly firstSeq: number; readonly highestSeq: number };

export type DiskError = {
  readonly op: string;
  readonly errno: number;
  readonly seq: number;
  readonly count: number;
};

/** One line of flushed writes. Times are the guest's own, in whole microseconds and milliseconds. */
export type Sample = {
  readonly seq: number;
  readonly count: number;
  readonly longestWriteUs: number;
  readonly longestGapUs: number;
  readonly guestMs: number;
};

/** What the guest reported of one disk so far. */
export type Acknowledged = {
  readonly plan: WriterPlan;
  /** All blocks up to this number were flushed; 0 when none was. */
  readonly highestSeq: number;
  readonly lives: readonly Life[];
  readonly errors: readonly DiskError[];
  readonly badReadbacks: readonly BadReadback[];
};

const numbers = (text: string): Record<string, number> =>
  Object.fromEntries([...text.matchAll(/(\w+)=(\d+)/g)].map(([, name = '', value]) => [name, Number(value)]));

// Whole lines only: a kernel message in the middle of one must not be read as a number.
const line = {
  start: /^@(\w+) S run=\w+ (inc=\d+ from=\d+ slots=\d+ block=\d+ t=\d+)$/,
  flushed: /^@(\w+) A (seq=\d+ n=\d+ max_us=\d+ gap_us=\d+ t=\d+)$/,
  latencies: /^@(\w+) L (n=\d+ sum_us=\d+ max_us=\d+ gap_us=\d+) h=([\d:,]+) (t=\d+)$/,
  stuck: /^@(\w+) H (seq=\d+ stuck_us=\d+ t=\d+)$/,
  error: /^@(\w+) E op=(\w+) (errno=\d+ seq=\d+ count=\d+ t=\d+)$/,
  bad: /^@(\w+) B (seq=\d+ slot=\d+ want=\d+ got=\d+ t=\d+)$/,
} as const;

/** The report of one disk, fed with the log's lines as they come. */
export class DiskReport {
  readonly #disk: string;
  readonly #lives: { incarnation: number; firstSeq: number; highestSeq: number }[] = [];
  readonly #errors: DiskError[] = [];
  readonly #bad: BadReadback[] = [];
  readonly samples: Sample[] = [];
  /** What single writes took, in the order in which it was told. */
  readonly latencies: LatencyCounts[] = [];
  /** How long nothing was flushed, by the guest's last word on it; 0 after a flush. */
  stuckUs = 0;
  #highest = 0;

  constructor(disk: string) {
    this.#disk = disk;
  }

  acknowledged(plan: WriterPlan): Acknowledged {
    return {
      plan,
      highestSeq: this.#highest,
      lives: this.#lives.map((life) => ({ ...life })),
      errors: [...this.#errors],
      badReadbacks: [...this.#bad],
    };
  }

  /** Blocks flushed in all lives. */
  get writes(): number {
    return this.samples.reduce((sum, sample) => sum + sample.count, 0);
  }

  get lives(): number {
    return this.#lives.length;
  }

  get flushedInThisLife(): boolean {
    const life = this.#lives.at(-1);
    return life !== undefined && life.highestSeq >= life.firstSeq;
  }

  read(text: string): void {
    if (!text.startsWith(`@${this.#disk} `)) return;
    const flushed = line.flushed.exec(text);
    if (flushed !== null) this.#flushed(numbers(flushed[2] ?? ''));
    const latencies = line.latencies.exec(text);
    if (latencies !== null) {
      const { n = 0, sum_us = 0, max_us = 0, gap_us = 0 } = numbers(latencies[2] ?? '');
      const { t = 0 } = numbers(latencies[4] ?? '');
      const bins = readBins(latencies[3] ?? '');
      this.latencies.push({ count: n, sumUs: sum_us, maxUs: max_us, gapUs: gap_us, bins, guestMs: t });
    }
    const stuck = line.stuck.exec(text);
    if (stuck !== null) ({ stuck_us: this.stuckUs = 0 } = numbers(stuck[2] ?? ''));
    const start = line.start.exec(text);
    if (start !== null) {
      const { inc = 0, from = 0 } = numbers(start[2] ?? '');
      this.#lives.push({ incarnation: inc, firstSeq: from, highestSeq: from - 1 });
    }
    const error = line.error.exec(text);
    if (error !== null) {
      const { errno = 0, seq = 0, count = 0 } = numbers(error[3] ?? '');
      this.#errors.push({ op: error[2] ?? '', errno, seq, count });
    }
    const bad = line.bad.exec(text);
    if (bad !== null) {
      const { seq = 0, slot = 0, want = 0, got = 0 } = numbers(bad[2] ?? '');
      this.#bad.push({ seq, slot, want, got });
    }
  }

  #flushed({ seq = 0, n = 0, max_us = 0, gap_us = 0, t = 0 }: Record<string, number>): void {
    this.samples.push({ seq, count: n, longestWriteUs: max_us, longestGapUs: gap_us, guestMs: t });
    this.#highest = Math.max(this.#highest, seq);
    this.stuckUs = 0;
    const life = this.#lives.at(-1);
    if (life !== undefined) life.highestSeq = seq;
  }
}
