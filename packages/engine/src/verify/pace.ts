// From what is done of something to a rate and a time to go.
import type { Bytes, BytesPerSecond, Millis } from '../model/units.ts';

/** qemu-img tells each 2 %: the rate is that of so many of the last samples. */
const RATE_SAMPLES = 8;

export interface Paced {
  readonly done: Bytes;
  readonly total: Bytes;
  readonly rate: BytesPerSecond | undefined;
  readonly etaMs: Millis | undefined;
}

/** What the first moments give says little of the rest. */
const ETA_AFTER_MS = 1_000;

export class Pace {
  readonly #total: Bytes;
  readonly #beganMs = performance.now();
  #samples: readonly { readonly atMs: number; readonly done: Bytes }[] = [
    { atMs: performance.now(), done: 0n },
  ];

  constructor(total: Bytes) {
    this.#total = total;
  }

  /** @param fraction from 0 to 1 */
  part(fraction: number): Paced {
    return this.at((this.#total * BigInt(Math.round(fraction * 10_000))) / 10_000n);
  }

  at(done: Bytes): Paced {
    const now = { atMs: performance.now(), done };
    this.#samples = [...this.#samples, now].slice(-RATE_SAMPLES);
    const [first = now] = this.#samples;
    const rate = (Number(done - first.done) * 1000) / Math.max(1, now.atMs - first.atMs);
    const known = rate > 0 && done < this.#total && now.atMs - this.#beganMs >= ETA_AFTER_MS;
    return {
      done,
      total: this.#total,
      rate: rate > 0 ? BigInt(Math.round(rate)) : undefined,
      etaMs: known ? (Number(this.#total - done) * 1000) / rate : undefined,
    };
  }
}
