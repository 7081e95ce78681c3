// A disk that a guest and a copy share, in steps of time: the more the copy does, the longer each write of the guest.
import type { LatencySample } from '../latency.ts';

export interface DiskModel {
  /** Bytes a second that a copy can do when nothing holds it back. */
  readonly capacity: number;
  /** The guest's mean write when nothing is copied. */
  readonly aloneMs: number;
  /** How much a copy at half its capacity adds to a write, as a multiple of aloneMs. */
  readonly contention: number;
  /** Spread of single writes: the standard deviation of their logarithm. */
  readonly noise: number;
}

export interface GuestLoad {
  readonly writesPerSecond: number;
  readonly bytesPerWrite: number;
}

/** A repeatable source of numbers in [0, 1) (mulberry32's recurrence). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The mean write beside a copy of `rate` bytes a second: queueing, so it grows without bound towards capacity. */
export function expectedMs(disk: DiskModel, rate: number): number {
  const load = Math.min(0.97, rate / disk.capacity);
  return disk.aloneMs * (1 + (disk.contention * load) / (1 - load));
}

/** The fastest copy beside which the mean write stays within `ratio` times what it is alone. */
export function fastestWithin(disk: DiskModel, ratio: number): number {
  const load = (ratio - 1) / (ratio - 1 + disk.contention);
  return Math.min(0.97, load) * disk.capacity;
}

export class SharedDisk {
  model: DiskModel;
  load: GuestLoad;
  readonly #random: () => number;
  #rate = 0;
  /** Writes due but not yet whole. */
  #due = 0;

  constructor(model: DiskModel, load: GuestLoad, seed: number) {
    this.model = model;
    this.load = load;
    this.#random = randomFrom(seed);
  }

  /** A step of time with the copy limited to `limit` (0: not). A fifth of it still feels the speed before. */
  step(limit: number, elapsedMs = 200): { readonly sample: LatencySample; readonly rate: number } {
    const before = this.#rate;
    this.#rate = Math.min(limit === 0 ? Number.POSITIVE_INFINITY : limit, this.model.capacity * 0.97);
    return { sample: this.#felt(0.2 * before + 0.8 * this.#rate, elapsedMs), rate: this.#rate };
  }

  /** A step of time with nothing copied. */
  idle(elapsedMs = 200): LatencySample {
    this.#rate = 0;
    return this.#felt(0, elapsedMs);
  }

  #felt(rate: number, elapsedMs: number): LatencySample {
    this.#due += (this.load.writesPerSecond * elapsedMs) / 1000;
    const operations = Math.floor(this.#due);
    this.#due -= operations;
    const mean = expectedMs(this.model, rate);
    const ms = mean * this.#sumOfSpreads(operations);
    const writtenBytes = operations * this.load.bytesPerWrite;
    return { elapsedMs, writes: { operations, ms }, flushes: { operations: 0, ms: 0 }, writtenBytes };
  }

  /** A sum of so many log-normal numbers with mean 1; of many, by the central limit theorem. */
  #sumOfSpreads(count: number): number {
    const { noise } = this.model;
    if (count > 100) {
      const deviation = Math.sqrt(count * (Math.exp(noise ** 2) - 1));
      return Math.max(0, count + deviation * this.#normal());
    }
    let sum = 0;
    for (let n = 0; n < count; n++) sum += Math.exp(noise * this.#normal() - noise ** 2 / 2);
    return sum;
  }

  #normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.#random())) * Math.cos(2 * Math.PI * this.#random());
  }
}
