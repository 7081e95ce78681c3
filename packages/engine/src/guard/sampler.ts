// Reads a running domain's disk from time to time and tells what its writes cost the guest in between.
import type { Domain } from '@blockferry/libvirt';
import { dropHistogram, type HistogramCounts, histogramIn, keepHistogram, pathIn } from './histogram.ts';
import { type Counters, countersOf, type LatencySample, sampleBetween } from './latency.ts';

const QUERY = { execute: 'query-blockstats' } as const;

/** What of a domain the sampler needs. */
export type SampledDomain = Pick<Domain, 'blockStats' | 'monitorCommand'>;

export interface SamplerOptions {
  /**
   * The id of the disk's device in QEMU ("virtio-disk0", from `<alias name=…>`), to have QEMU keep a histogram of its
   * writes. Costs the domain libvirt's taint "custom-monitor", so it is for those who ask; default none.
   */
  readonly histogramOf?: string | undefined;
  readonly now?: () => number;
}

/**
 * Samples one disk. Counters belong to the guest's device, so neither the copy's own requests nor a change of the
 * image below it show in them (QEMU, block_acct of the device's BlockBackend).
 */
export class LatencySampler {
  readonly #domain: SampledDomain;
  readonly #disk: string;
  readonly #now: () => number;
  readonly #device: string | undefined;
  #histogram: 'untried' | 'kept' | 'none';
  /** What QEMU itself calls the device. */
  #path: string | undefined;
  #last: { readonly at: number; readonly counters: Counters } | undefined;

  constructor(domain: SampledDomain, disk: string, options: SamplerOptions = {}) {
    this.#domain = domain;
    this.#disk = disk;
    this.#now = options.now ?? (() => performance.now());
    this.#device = options.histogramOf;
    this.#histogram = this.#device === undefined ? 'none' : 'untried';
  }

  /**
   * What happened since the last call.
   *
   * @returns undefined at the first call, after QEMU was started again, and where libvirt does not tell times
   * @throws LibvirtError when the domain does not run (OPERATION_INVALID) or the connection is lost; call again later
   */
  async sample(): Promise<LatencySample | undefined> {
    const stats = countersOf(await this.#domain.blockStats(this.#disk));
    const at = this.#now();
    if (stats === undefined) return undefined;
    const histogram = await this.#readHistogram();
    const counters = { ...stats, ...(histogram !== undefined && { histogram }) };
    const before = this.#last;
    this.#last = { at, counters };
    return before && sampleBetween(before.counters, counters, at - before.at);
  }

  /** Has QEMU forget the histogram. The taint stays until the domain is started again. */
  async close(): Promise<void> {
    if (this.#histogram !== 'kept' || this.#path === undefined) return;
    this.#histogram = 'none';
    // Whoever takes the histogram away, or the domain down, has done it for us.
    await this.#domain.monitorCommand(dropHistogram(this.#path)).catch(() => undefined);
  }

  async #readHistogram(): Promise<HistogramCounts | undefined> {
    const device = this.#device;
    if (device === undefined || this.#histogram === 'none') return undefined;
    try {
      const asked = this.#histogram === 'untried';
      if (asked) await this.#keep(device);
      const counts = histogramIn(await this.#domain.monitorCommand(QUERY), device);
      // A QEMU that was started again keeps none: ask it anew at the next sample. One that keeps none though it was
      // asked just now never will.
      this.#histogram = counts !== undefined ? 'kept' : asked ? 'none' : 'untried';
      return counts;
    } catch {
      // Forbidden by the daemon's access rules, or unknown to this QEMU: the mean has to do.
      this.#histogram = 'none';
      return undefined;
    }
  }

  async #keep(device: string): Promise<void> {
    this.#path = pathIn(await this.#domain.monitorCommand(QUERY), device);
    if (this.#path !== undefined) await this.#domain.monitorCommand(keepHistogram(this.#path));
  }
}
