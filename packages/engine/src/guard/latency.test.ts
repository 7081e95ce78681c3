// Counters and histograms: what happened between two readings, and what QEMU's replies look like.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BOUNDARIES_NS, histogramIn, keepHistogram, pathIn, percentileMs } from './histogram.ts';
import { type Counters, countersOf, NOTHING, sampleBetween, together } from './latency.ts';

const counters = (writes: bigint, writesNs: bigint): Counters => ({
  ...{ writes, writesNs, flushes: 0n, flushesNs: 0n, bytes: writes * 4096n },
});

describe('counters', () => {
  it('are read from what libvirt sends', () => {
    const stats = {
      wr_operations: 3n,
      wr_total_times: 9n,
      wr_bytes: 5n,
      flush_operations: 1n,
      flush_total_times: 2n,
    };
    expect(countersOf(stats)).toEqual({ writes: 3n, writesNs: 9n, bytes: 5n, flushes: 1n, flushesNs: 2n });
  });

  it('of a daemon that tells no times are none', () => {
    expect(countersOf({ wr_operations: 3n, wr_bytes: 5n })).toBeUndefined();
  });

  it('give the mean of what came between', () => {
    const sample = sampleBetween(counters(10n, 5_000_000n), counters(14n, 13_000_000n), 200);
    expect(sample).toMatchObject({ elapsedMs: 200, writes: { operations: 4, ms: 8 }, writtenBytes: 16_384 });
  });

  it('that went back are of another QEMU', () => {
    expect(sampleBetween(counters(10n, 5n), counters(2n, 9n), 200)).toBeUndefined();
  });

  it('of intervals put together count as one interval', () => {
    const pairs = fc.array(fc.tuple(fc.bigInt(0n, 999n), fc.bigInt(0n, 999_999n)), {
      minLength: 1,
      maxLength: 9,
    });
    fc.assert(
      fc.property(pairs, (growth) => {
        const readings = [counters(0n, 0n)];
        for (const [writes, ns] of growth) {
          const last = readings.at(-1) ?? counters(0n, 0n);
          readings.push(counters(last.writes + writes, last.writesNs + ns));
        }
        const parts = readings.slice(1).map((after, n) => sampleBetween(readings[n] ?? after, after, 100));
        const whole = parts.reduce((sum, part) => together(sum ?? NOTHING, part ?? NOTHING), NOTHING);
        const [first, last] = [readings[0], readings.at(-1)];
        const once = first && last && sampleBetween(first, last, 100 * growth.length);
        expect(whole?.writes.operations).toBe(once?.writes.operations);
        expect(whole?.writes.ms).toBeCloseTo(once?.writes.ms ?? -1);
        expect(whole?.elapsedMs).toBe(once?.elapsedMs);
      }),
    );
  });
});

describe('a histogram', () => {
  const bins = BOUNDARIES_NS.map(() => 0).concat(0);

  it('is found by the device it belongs to', () => {
    const mine = bins.with(3, 7);
    const reply = [
      { qdev: '/machine/peripheral/virtio-disk10/virtio-backend', stats: { wr_latency_histogram: { bins } } },
      {
        qdev: '/machine/peripheral/virtio-disk1/virtio-backend',
        stats: { wr_latency_histogram: { bins: mine } },
      },
    ];
    expect(histogramIn(reply, 'virtio-disk1')).toEqual(mine);
    expect(histogramIn(reply, 'virtio-disk2')).toBeUndefined();
    expect(pathIn(reply, 'virtio-disk1')).toBe('/machine/peripheral/virtio-disk1/virtio-backend');
  });

  it.each([
    undefined,
    null,
    7,
    'x',
    [],
    [{}],
    [{ qdev: 'd' }],
    [{ qdev: 'd', stats: { wr_latency_histogram: {} } }],
  ])('is not found in %j', (reply) => {
    expect(histogramIn(reply, 'd')).toBeUndefined();
  });

  it('gives percentiles within a quarter of the truth', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.06, max: 9000, noNaN: true }), { minLength: 1, maxLength: 300 }),
        fc.constantFrom(0.5, 0.95, 0.99),
        (latencies, share) => {
          const counts = bins.slice();
          for (const ms of latencies) {
            const bin = BOUNDARIES_NS.findIndex((end) => ms * 1e6 < end);
            const at = bin < 0 ? counts.length - 1 : bin;
            counts[at] = (counts[at] ?? 0) + 1;
          }
          const sorted = latencies.toSorted((a, b) => a - b);
          const truth = sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
          const told = percentileMs(counts, share) ?? 0;
          expect(told).toBeGreaterThan(truth / 1.26);
          expect(told).toBeLessThan(truth * 1.26);
        },
      ),
    );
  });

  it('of nothing has no percentile', () => {
    expect(percentileMs(bins, 0.95)).toBeUndefined();
  });

  it('is asked for with bins that rise', () => {
    expect(keepHistogram('virtio-disk0')).toMatchObject({ arguments: { id: 'virtio-disk0' } });
    expect(BOUNDARIES_NS.every((end, n) => end > (BOUNDARIES_NS[n - 1] ?? 0))).toBe(true);
    expect(BOUNDARIES_NS.at(-1)).toBeGreaterThan(10e9);
  });
});
