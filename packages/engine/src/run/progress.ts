// Follows the mirror's progress: rate, time to go, the guest's write rate, and whether it converges.
import type { Domain } from '@blockferry/libvirt';
import { type Pace, paceOf, recent, type Sample, stillFor } from '../decide/convergence.ts';
import type { Bytes, BytesPerSecond, Millis } from '../model/units.ts';
import type { LayersProgress } from '../observe/memory.ts';
import type { ProgressReport } from './report.ts';

/** The rate shown is the mean of this much time. */
const RATE_WINDOW_MS = 5_000;

/** With a limit below this there are pauses between two pieces. */
const HARDLY_ANY: BytesPerSecond = 1n << 20n;

interface Done {
  readonly cur: Bytes;
  readonly end: Bytes;
}

interface GuestSample {
  readonly at: number;
  readonly written: bigint;
}

export class Progress {
  #samples: Sample[] = [];
  #guest: GuestSample[] = [];
  #readBack: { readonly at: number; readonly value: Bytes }[] = [];
  #moved: Sample[] = [];
  #latest: ProgressReport | undefined;

  /** What was told last of the copy that is under way. */
  get latest(): { readonly copied?: Bytes; readonly etaMs?: Millis | undefined } {
    return this.#latest ?? {};
  }

  /** Forget everything: a new copy begins. */
  reset(): void {
    this.#latest = undefined;
    this.#samples = [];
    this.#guest = [];
    this.#readBack = [];
    this.#moved = [];
  }

  /** Takes a sample of the job and of the guest's writes, if there is a guest. */
  async sample(domain: Domain | undefined, disk: string, job: Done): Promise<ProgressReport> {
    const at = performance.now();
    this.#samples = recent([...this.#samples, { at, cur: job.cur, end: job.end }]);
    await this.#sampleGuest(domain, disk, at);
    return this.#report(at, job);
  }

  /** Takes a sample of the copy of the frozen layers; the domain may be off, or gone. */
  async sampleLayers(
    domain: Domain | undefined,
    disk: string,
    { copied, verified, readBack, moved, total, guard, space }: LayersProgress,
  ): Promise<ProgressReport> {
    const at = performance.now();
    // Until it has begun, nothing is known of what runs before it did.
    if (total > 0n) this.#samples = recent([...this.#samples, { at, cur: copied, end: total }]);
    const waits = total === 0n || space !== 'enough';
    this.#moved = waits ? [] : recent([...this.#moved, { at, cur: moved, end: total }]);
    await this.#sampleGuest(domain, disk, at).catch(() => {}); // off: it writes nothing
    const copying = this.#report(at, { cur: copied, end: total });
    this.#latest = {
      ...copying,
      ...(readBack !== undefined && total > 0n && this.#readingBack(at, readBack, copying)),
    };
    return {
      ...this.#latest,
      verified,
      ...(guard && { guard }),
      ...(space !== 'enough' && { space }),
    };
  }

  /** When all is copied, the reading back is what takes time. */
  #readingBack(
    at: number,
    readBack: Bytes,
    { copied, total, etaMs }: ProgressReport,
  ): Partial<ProgressReport> {
    this.#readBack = [...this.#readBack.filter((s) => at - s.at <= RATE_WINDOW_MS), { at, value: readBack }];
    const readBackRate = rateOf(this.#readBack);
    const isLast = copied >= total && readBackRate !== undefined && readBackRate > 0n;
    const left = isLast ? Number(((total - readBack) * 1000n) / readBackRate) : undefined;
    return { readBack, readBackRate, etaMs: left ?? etaMs };
  }

  async #sampleGuest(domain: Domain | undefined, disk: string, at: number): Promise<void> {
    const written = (await domain?.blockStats(disk))?.wr_bytes;
    if (typeof written === 'bigint')
      this.#guest = [...this.#guest.filter((s) => at - s.at <= RATE_WINDOW_MS), { at, written }];
  }

  #report(at: number, job: Done): ProgressReport {
    const window = this.#samples.filter((s) => at - s.at <= RATE_WINDOW_MS);
    const rate = rateOf(window.map((s) => ({ at: s.at, value: s.cur })));
    const guestWriteRate = rateOf(this.#guest.map((s) => ({ at: s.at, value: s.written })));
    // By how fast the rest shrinks: what the guest writes meanwhile has to be copied too, in whole clusters.
    const shrinks = rateOf(window.map((s) => ({ at: s.at, value: s.cur - s.end })));
    const remaining = job.end - job.cur;
    const etaMs = shrinks !== undefined && shrinks > 0n ? Number((remaining * 1000n) / shrinks) : undefined;
    this.#latest = { type: 'progress', copied: job.cur, total: job.end, rate, etaMs, guestWriteRate };
    return this.#latest;
  }

  /** Was anything copied since the first sample kept, or is nothing left to copy? */
  flows(): boolean {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined) return false;
    return last.cur >= last.end || last.cur > first.cur;
  }

  /** How long the copy of the layers has stood still, though it has begun and has room; undefined: it does not. */
  layersStillFor(bandwidth: BytesPerSecond = 0n): Millis | undefined {
    return bandwidth > 0n && bandwidth < HARDLY_ANY ? undefined : stillFor(this.#moved);
  }

  pace(): Pace {
    return paceOf(this.#samples);
  }
}

/** Where the copy stands, without a rate. */
export function progressAt({ cur, end }: Done): ProgressReport {
  return {
    type: 'progress',
    copied: cur,
    total: end,
    rate: undefined,
    etaMs: undefined,
    guestWriteRate: undefined,
  };
}

function rateOf(samples: readonly { readonly at: number; readonly value: bigint }[]): bigint | undefined {
  const first = samples[0];
  const last = samples.at(-1);
  if (first === undefined || last === undefined || last.at - first.at < 200) return undefined;
  const rate = (Number(last.value - first.value) * 1000) / (last.at - first.at);
  return BigInt(Math.max(0, Math.round(rate)));
}
