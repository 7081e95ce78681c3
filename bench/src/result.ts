// What a case answers: numbers with their names, for the table, the plot and the JSON alike.

/** One number of one peer. */
export interface Figure {
  readonly peer: string;
  /** What was measured: 'time', 'write p95' and so on. */
  readonly what: string;
  readonly unit: 's' | 'ms' | 'MB/s' | 'writes/s' | 'calls/s' | 'MB' | 'cpu s';
  /** One for each round. */
  readonly values: readonly number[];
}

/** The speed of the bulk copy alone, as its tool tells it. */
export const BULK_SPEED = 'bulk copy';

/** Ours against theirs; above 1 is better for us. */
export interface Ratio {
  readonly what: string;
  readonly value: number;
}

export interface CaseResult {
  readonly name: string;
  readonly title: string;
  readonly figures: readonly Figure[];
  readonly ratios: readonly Ratio[];
  /** What a reader must know to judge the figures. */
  readonly notes: readonly string[];
}

/** The middle of the rounds: what one disturbed round does not move. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  const [low, high] = [sorted[sorted.length % 2 === 0 ? half - 1 : half], sorted[half]];
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2;
}

/** How much smaller `ours` is than `theirs` (time, latency), in medians; undefined where either is missing. */
export function timesBetter(
  figures: readonly Figure[],
  what: string,
  ours: string,
  theirs: string,
): Ratio | undefined {
  const of = (peer: string) => figures.find((each) => each.peer === peer && each.what === what);
  const [mine, other] = [of(ours), of(theirs)];
  if (mine === undefined || other === undefined) return undefined;
  const more = mine.unit === 'MB/s' || mine.unit === 'calls/s' || mine.unit === 'writes/s';
  const value = more
    ? median(mine.values) / median(other.values)
    : median(other.values) / median(mine.values);
  return Number.isFinite(value) ? { what: `${what}: ${ours} against ${theirs}`, value } : undefined;
}
