// Latency histograms as QEMU keeps them of a disk (qapi/block-core.json, block-latency-histogram-set), and percentiles.
import type { Millis } from '../model/units.ts';

/** How many requests fell into each bin; one more than there are boundaries. They only grow while QEMU runs. */
export type HistogramCounts = readonly number[];

/** Upper ends of the bins but the last: from 50 us, each a quarter above the one before, to beyond 10 s. */
export const BOUNDARIES_NS: readonly number[] = Array.from({ length: 56 }, (_, n) =>
  Math.round(50_000 * 1.25 ** n),
);

/** Bin by bin `one + sign * other`; undefined unless both are there, or when a count would fall below zero. */
export function addCounts(
  one: HistogramCounts | undefined,
  other: HistogramCounts | undefined,
  sign: 1 | -1,
): HistogramCounts | undefined {
  if (one === undefined || other === undefined || one.length !== other.length) return undefined;
  const counts = one.map((count, bin) => count + sign * (other[bin] ?? 0));
  return counts.some((count) => count < 0) ? undefined : counts;
}

export function totalOf(counts: HistogramCounts): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

/** The latency that `share` (0 to 1) of the requests stayed under, interpolated within its bin. */
export function percentileMs(counts: HistogramCounts, share: number): Millis | undefined {
  const total = totalOf(counts);
  if (total === 0) return undefined;
  let left = share * total;
  for (const [bin, count] of counts.entries()) {
    if (count > 0 && left <= count) {
      const low = bin === 0 ? 0 : (BOUNDARIES_NS[bin - 1] ?? 0);
      const high = BOUNDARIES_NS[bin] ?? low * 1.25;
      return (low + ((high - low) * left) / count) / 1e6;
    }
    left -= count;
  }
  return undefined;
}

/** The command that makes QEMU keep a histogram of the device's writes, in our bins, from zero. */
export function keepHistogram(path: string): { readonly execute: string; readonly arguments: object } {
  return {
    execute: 'block-latency-histogram-set',
    arguments: { id: path, 'boundaries-write': BOUNDARIES_NS },
  };
}

/** The command that makes QEMU keep none any longer. */
export function dropHistogram(path: string): { readonly execute: string; readonly arguments: object } {
  return { execute: 'block-latency-histogram-set', arguments: { id: path } };
}

/**
 * What block-latency-histogram-set calls a device, from a reply of query-blockstats: its QOM path, such as
 * "/machine/peripheral/virtio-disk0/virtio-backend" for the device that libvirt calls virtio-disk0.
 */
export function pathIn(blockStats: unknown, device: string): string | undefined {
  const path = member(entryIn(blockStats, device), 'qdev');
  return typeof path === 'string' ? path : undefined;
}

/** The write histogram of a device in a reply of query-blockstats; undefined when QEMU keeps none in our bins. */
export function histogramIn(blockStats: unknown, device: string): HistogramCounts | undefined {
  const bins = binsIn(blockStats, device);
  return bins?.length === BOUNDARIES_NS.length + 1 && bins.every((count) => typeof count === 'number')
    ? bins
    : undefined;
}

/** `ours`: one in our bins. */
export function whoseHistogram(blockStats: unknown, device: string): 'ours' | 'foreign' | 'nobody' {
  if (histogramIn(blockStats, device) !== undefined) return 'ours';
  return binsIn(blockStats, device) === undefined ? 'nobody' : 'foreign';
}

function binsIn(blockStats: unknown, device: string): readonly unknown[] | undefined {
  const stats = member(entryIn(blockStats, device), 'stats');
  const bins: unknown = member(member(stats, 'wr_latency_histogram'), 'bins');
  return Array.isArray(bins) ? bins : undefined;
}

function entryIn(blockStats: unknown, device: string): unknown {
  if (!Array.isArray(blockStats)) return undefined;
  return blockStats.find((each: unknown) => {
    const path = member(each, 'qdev');
    return typeof path === 'string' && path.split('/').includes(device);
  });
}

function member(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.getOwnPropertyDescriptor(value, key)?.value;
}
