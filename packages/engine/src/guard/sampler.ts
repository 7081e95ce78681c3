// Reads a running domain's disk from time to time and tells what its writes cost the guest in between.
import type { Domain } from '@blockferry/libvirt';
import {
  addCounts,
  dropHistogram,
  type HistogramCounts,
  histogramIn,
  keepHistogram,
  pathIn,
  whoseHistogram,
} from './histogram.ts';
import { type Counters, countersOf, type LatencySample, sampleBetween } from './latency.ts';

const QUERY = { execute: 'query-blockstats' } as const;

/** What of a domain the sampler needs. */
export type SampledDomain = Pick<Domain, 'blockStats' | 'monitorCommand'>;

export interface SamplerOptions {
  /**
   * The ids of the devices in QEMU ("virtio-disk0", from `<alias name=…>`) of whose writes QEMU is to keep histograms;
   * default none. It costs the domain libvirt's taint "custom-monitor".
   */
  readonly devices?: () => Promise<readonly string[]>;
  readonly now?: () => number;
}

/**
 * Samples one disk, or all of them. Counters belong to the guest's device, so neither the copy's own requests nor a change of the
 * image below it show in them (QEMU, block_acct of the device's BlockBackend).
 */
export class LatencySampler {
  readonly #domain: SampledDomain;
  readonly #disk: string;
  readonly #now: () => number;
  readonly #devices: NonNullable<SamplerOptions['devices']> | undefined;
  #histograms: 'untried' | 'kept' | 'none';
  /** What QEMU itself calls those of which it keeps one for us. */
  #paths: readonly string[] = [];
  #names: readonly string[] = [];
  #last: { readonly at: number; readonly counters: Counters } | undefined;

  constructor(domain: SampledDomain, disk: string, options: SamplerOptions = {}) {
    this.#domain = domain;
    this.#disk = disk;
    this.#now = options.now ?? (() => performance.now());
    this.#devices = options.devices;
    this.#histograms = this.#devices === undefined ? 'none' : 'untried';
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
    const histogram = await this.#readHistograms();
    const counters = { ...stats, ...(histogram !== undefined && { histogram }) };
    const before = this.#last;
    this.#last = { at, counters };
    return before && sampleBetween(before.counters, counters, at - before.at);
  }

  /** Has QEMU forget the histograms. The taint stays until the domain is started again. */
  async close(): Promise<void> {
    const paths = this.#paths;
    this.#paths = [];
    this.#histograms = 'none';
    for (const path of paths) {
      // Whoever takes the histogram away, or the domain down, has done it for us.
      await this.#domain.monitorCommand(dropHistogram(path)).catch(() => undefined);
    }
  }

  /** Of all devices together; undefined unless QEMU keeps one of each. */
  async #readHistograms(): Promise<HistogramCounts | undefined> {
    if (this.#histograms === 'none') return undefined;
    try {
      const asked = this.#histograms === 'untried';
      if (asked) await this.#keep();
      const stats = await this.#domain.monitorCommand(QUERY);
      const [first, ...others] = this.#names.map((device) => histogramIn(stats, device));
      const counts = others.reduce((sum, each) => addCounts(sum, each, 1), first);
      // A QEMU that was started again keeps none: ask it anew at the next sample. One that keeps none though it was
      // asked just now never will.
      this.#histograms = counts !== undefined ? 'kept' : asked ? 'none' : 'untried';
      return counts;
    } catch {
      // Forbidden by the daemon's access rules, or unknown to this QEMU: the mean has to do.
      this.#histograms = 'none';
      return undefined;
    }
  }

  /** One that is there in our bins was left by a copy that died. One in others is somebody else's, and stays as it is. */
  async #keep(): Promise<void> {
    this.#names = (await this.#devices?.()) ?? [];
    const stats = await this.#domain.monitorCommand(QUERY);
    const found = this.#names.map((device) => ({
      path: pathIn(stats, device),
      whose: whoseHistogram(stats, device),
    }));
    if (found.some(({ path, whose }) => path === undefined || whose === 'foreign')) return;
    this.#paths = found.flatMap(({ path }) => path ?? []);
    for (const { path, whose } of found) {
      if (path !== undefined && whose === 'nobody') await this.#domain.monitorCommand(keepHistogram(path));
    }
  }
}
