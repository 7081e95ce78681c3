// What the guest's single writes took, put together from the counts that its writer reports.

/** One line of the report: what was written since the line before. Times are the guest's own. */
export type LatencyCounts = {
  readonly count: number;
  readonly sumUs: number;
  readonly maxUs: number;
  /** The longest time between the ends of two writes. */
  readonly gapUs: number;
  /** Writes by bin; the writer has eight bins for each power of two microseconds. */
  readonly bins: ReadonlyMap<number, number>;
  /** When this line was written, since the guest's boot. */
  readonly guestMs: number;
};

/** Percentiles are within an eighth of the truth; mean, worst and gap are exact. */
export type Latencies = {
  readonly writes: number;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly worstMs: number;
  /** The longest time between the ends of two writes; a writer with a rate has small ones of its own. */
  readonly longestGapMs: number;
  readonly writesPerSecond: number;
};

/** Reads `8:3,17:1`. */
export function readBins(text: string): Map<number, number> {
  return new Map(
    text.split(',').map((pair) => {
      const [bin, count] = pair.split(':').map(Number);
      return [bin ?? 0, count ?? 0];
    }),
  );
}

/** The microseconds from which a bin counts, as bin_of in writer.c has it. */
export function binStartUs(bin: number): number {
  return bin < 8 ? bin : (8 + (bin % 8)) * 2 ** (Math.floor(bin / 8) - 1);
}

/** `before`: the line before the first of these, from whose time on they count. */
export function latenciesOf(lines: readonly LatencyCounts[], before: LatencyCounts | undefined): Latencies {
  const bins = new Map<number, number>();
  for (const line of lines) for (const [bin, count] of line.bins) bins.set(bin, (bins.get(bin) ?? 0) + count);
  const writes = lines.reduce((sum, line) => sum + line.count, 0);
  const sumUs = lines.reduce((sum, line) => sum + line.sumUs, 0);
  const worstMs = Math.max(0, ...lines.map((line) => line.maxUs)) / 1000;
  const percentile = (share: number) => Math.min(worstMs, percentileMs(bins, share));
  const spanMs = (lines.at(-1)?.guestMs ?? 0) - (before?.guestMs ?? 0);
  return {
    writes,
    meanMs: writes > 0 ? sumUs / writes / 1000 : 0,
    p50Ms: percentile(0.5),
    p95Ms: percentile(0.95),
    p99Ms: percentile(0.99),
    worstMs,
    longestGapMs: Math.max(0, ...lines.map((line) => line.gapUs)) / 1000,
    writesPerSecond: spanMs > 0 ? (writes * 1000) / spanMs : 0,
  };
}

function percentileMs(bins: ReadonlyMap<number, number>, share: number): number {
  const total = [...bins.values()].reduce((sum, count) => sum + count, 0);
  let left = share * total;
  for (const [bin, count] of [...bins].sort(([a], [b]) => a - b)) {
    if (left <= count) {
      const start = binStartUs(bin);
      return (start + ((binStartUs(bin + 1) - start) * left) / count) / 1000;
    }
    left -= count;
  }
  return 0;
}
