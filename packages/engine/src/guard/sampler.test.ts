// The sampler beside a daemon that is old, forbids, or had its QEMU started again.
import { describe, expect, it } from 'vitest';
import { BOUNDARIES_NS } from './histogram.ts';
import { LatencySampler, type SampledDomain } from './sampler.ts';

const bins = (count: number) => BOUNDARIES_NS.map(() => 0).concat(count);

class FakeDomain implements SampledDomain {
  writes = 0n;
  /** Undefined: this QEMU was not asked to keep one. */
  histogram: number | undefined;
  /** What another device has, from the beginning. */
  other: readonly number[] | undefined;
  asked: string[] = [];
  refuse = false;
  deaf = false;

  async blockStats() {
    return {
      wr_operations: this.writes,
      wr_total_times: this.writes * 2_000_000n,
      wr_bytes: this.writes * 512n,
    };
  }

  async monitorCommand({ execute }: { readonly execute: string }): Promise<unknown> {
    this.asked.push(execute);
    if (this.refuse) throw new Error('access denied');
    if (execute === 'block-latency-histogram-set') {
      if (!this.deaf) this.histogram = 0;
      return {};
    }
    const stats =
      this.histogram === undefined ? {} : { wr_latency_histogram: { bins: bins(this.histogram) } };
    return [
      { qdev: '/machine/peripheral/virtio-disk0/virtio-backend', stats },
      {
        qdev: '/machine/peripheral/virtio-disk1/virtio-backend',
        stats: this.other ? { wr_latency_histogram: { bins: this.other } } : {},
      },
    ];
  }
}

function sampler(domain: FakeDomain, ...devices: readonly string[]): LatencySampler {
  let at = 0;
  return new LatencySampler(domain, 'vda', {
    ...(devices.length > 0 && { devices: async () => devices }),
    now: () => {
      at += 100;
      return at;
    },
  });
}

describe('a sampler', () => {
  it('tells what happened since it was asked last', async () => {
    const domain = new FakeDomain();
    const sampled = sampler(domain);
    expect(await sampled.sample()).toBeUndefined();
    domain.writes = 10n;
    expect(await sampled.sample()).toMatchObject({ elapsedMs: 100, writes: { operations: 10, ms: 20 } });
    expect(await sampled.sample()).toMatchObject({ writes: { operations: 0, ms: 0 } });
    expect(domain.asked).toEqual([]);
  });

  it('begins anew when QEMU was started again', async () => {
    const domain = new FakeDomain();
    const sampled = sampler(domain);
    domain.writes = 10n;
    await sampled.sample();
    domain.writes = 4n;
    expect(await sampled.sample()).toBeUndefined();
    domain.writes = 6n;
    expect(await sampled.sample()).toMatchObject({ writes: { operations: 2 } });
  });
});

describe('a histogram', () => {
  it('is kept only for those who ask for it, and dropped at the end', async () => {
    const domain = new FakeDomain();
    const sampled = sampler(domain, 'virtio-disk0');
    await sampled.sample();
    domain.histogram = 5;
    expect((await sampled.sample())?.histogram).toEqual(bins(5));
    await sampled.close();
    expect(domain.asked.filter((each) => each === 'block-latency-histogram-set')).toHaveLength(2);
  });

  it('is one for all devices, and one that a copy left that died serves again', async () => {
    const domain = new FakeDomain();
    domain.other = bins(7);
    const sampled = sampler(domain, 'virtio-disk0', 'virtio-disk1');
    await sampled.sample();
    domain.histogram = 5;
    domain.other = bins(9);
    expect((await sampled.sample())?.histogram).toEqual(bins(7));
    await sampled.close();
    expect(domain.asked.filter((each) => each === 'block-latency-histogram-set')).toHaveLength(3);
  });

  it('of somebody else, in other bins, stays as it is', async () => {
    const domain = new FakeDomain();
    domain.other = [1, 2, 3];
    const sampled = sampler(domain, 'virtio-disk0', 'virtio-disk1');
    for (let n = 0; n < 3; n++) await sampled.sample();
    await sampled.close();
    expect(domain.asked).not.toContain('block-latency-histogram-set');
  });

  it('is asked for again when QEMU was started again', async () => {
    const domain = new FakeDomain();
    const sampled = sampler(domain, 'virtio-disk0');
    await sampled.sample();
    domain.histogram = undefined;
    expect((await sampled.sample())?.histogram).toBeUndefined();
    await sampled.sample();
    domain.histogram = 3;
    expect((await sampled.sample())?.histogram).toEqual(bins(3));
  });

  it.each([
    ['refuse', ['query-blockstats']],
    ['deaf', ['query-blockstats', 'block-latency-histogram-set', 'query-blockstats']],
  ] as const)('that is not to be had (%s) is asked for once', async (how, asked) => {
    const domain = new FakeDomain();
    domain[how] = true;
    const sampled = sampler(domain, 'virtio-disk0');
    for (let n = 0; n < 4; n++) await sampled.sample();
    domain.writes = 1n;
    expect(await sampled.sample()).toMatchObject({ writes: { operations: 1 } });
    expect(domain.asked).toEqual(asked);
  });
});
