// What the guest's writes cost it: libvirt's counters of a disk, and what happened between two readings of them.
import type { ParamRecord } from '@blockferry/libvirt';
import type { Millis } from '../model/units.ts';
import { addCounts, type HistogramCounts } from './histogram.ts';

/** Finished requests, and the time that all of them took together. */
export interface Tally {
  readonly operations: number;
  readonly ms: Millis;
}

/** One reading of a disk's counters. QEMU counts a request when it has finished, and the time it took in ns. */
export interface Counters {
  readonly writes: bigint;
  readonly writesNs: bigint;
  readonly flushes: bigint;
  readonly flushesNs: bigint;
  readonly bytes: bigint;
  /** Of writes, where QEMU keeps one. */
  readonly histogram?: HistogramCounts;
}

/** What the guest did between two readings, or in several such intervals put together. */
export interface LatencySample {
  readonly elapsedMs: Millis;
  readonly writes: Tally;
  readonly flushes: Tally;
  readonly writtenBytes: number;
  readonly histogram?: HistogramCounts;
}

export const NOTHING: LatencySample = {
  elapsedMs: 0,
  writes: { operations: 0, ms: 0 },
  flushes: { operations: 0, ms: 0 },
  writtenBytes: 0,
};

/**
 * The counters in a reply of virDomainBlockStatsFlags: wr_operations, wr_total_times and so on.
 *
 * @returns undefined when the daemon does not tell times (a hypervisor other than QEMU).
 */
export function countersOf(stats: ParamRecord): Counters | undefined {
  const { wr_operations: writes, wr_total_times: writesNs, wr_bytes: bytes } = stats;
  const { flush_operations: flushes = 0n, flush_total_times: flushesNs = 0n } = stats;
  if (typeof writes !== 'bigint' || typeof writesNs !== 'bigint' || typeof bytes !== 'bigint')
    return undefined;
  if (typeof flushes !== 'bigint' || typeof flushesNs !== 'bigint') return undefined;
  return { writes, writesNs, flushes, flushesNs, bytes };
}

/** @returns undefined when a counter went back: it is another QEMU process, started in between. */
export function sampleBetween(
  before: Counters,
  after: Counters,
  elapsedMs: Millis,
): LatencySample | undefined {
  const keys = ['writes', 'writesNs', 'flushes', 'flushesNs', 'bytes'] as const;
  if (keys.some((key) => after[key] < before[key])) return undefined;
  const histogram = addCounts(after.histogram, before.histogram, -1);
  return {
    elapsedMs,
    writes: tally(after.writes - before.writes, after.writesNs - before.writesNs),
    flushes: tally(after.flushes - before.flushes, after.flushesNs - before.flushesNs),
    writtenBytes: Number(after.bytes - before.bytes),
    ...(histogram !== undefined && { histogram }),
  };
}

/** Two intervals as one. */
export function together(one: LatencySample, other: LatencySample): LatencySample {
  const histogram = one.elapsedMs === 0 ? other.histogram : addCounts(one.histogram, other.histogram, 1);
  return {
    elapsedMs: one.elapsedMs + other.elapsedMs,
    writes: sum(one.writes, other.writes),
    flushes: sum(one.flushes, other.flushes),
    writtenBytes: one.writtenBytes + other.writtenBytes,
    ...(histogram !== undefined && { histogram }),
  };
}

/** Milliseconds a request; undefined for none. */
export function meanMs({ operations, ms }: Tally): Millis | undefined {
  return operations > 0 ? ms / operations : undefined;
}

function tally(operations: bigint, ns: bigint): Tally {
  return { operations: Number(operations), ms: Number(ns) / 1e6 };
}

function sum(one: Tally, other: Tally): Tally {
  return { operations: one.operations + other.operations, ms: one.ms + other.ms };
}
