// A layer cut into windows of one size, and sets of them: what a journal counts in. Pure.

const MiB = 1024n * 1024n;
const SECTOR = 512n;

/** Measured: smaller windows cost the gaps between them (64 MiB: 15 % and more on a machine that is busy). */
export const DEFAULT_WINDOW_BYTES = 128n * MiB;

/**
 * Where each window costs the deriving of keys: 2 s of CPU time an image, as images are made by default. Measured on a busy
 * machine, 2 GiB of qcow2 in LUKS were copied and verified in 82 s; with windows of 128 MiB not within 240 s.
 */
export const LOCKED_WINDOW_BYTES = 4096n * MiB;

/**
 * So many windows at most are written and not journaled yet, the one that is being written included: a crash of the host
 * costs these. Flushing takes 0.2 s while others are written, so fewer would keep the copier waiting.
 */
export const MOST_WINDOWS_AT_RISK = 3;

/** How a layer is cut. The last window may be shorter than the others. */
export interface Cut {
  /** Length of the layer in bytes. */
  readonly total: bigint;
  /** Bytes; a multiple of 4096. */
  readonly windowBytes: bigint;
}

export interface Window {
  readonly index: number;
  readonly offset: bigint;
  /** Bytes of the layer in it. */
  readonly length: bigint;
  /** The same rounded up to sectors of 512 bytes, in which QEMU counts. */
  readonly nodeLength: bigint;
}

export function roundUp(bytes: bigint, unit: bigint): bigint {
  return ((bytes + unit - 1n) / unit) * unit;
}

export function windowCount({ total, windowBytes }: Cut): number {
  return Number(roundUp(total, windowBytes) / windowBytes);
}

export function windowAt({ total, windowBytes }: Cut, index: number): Window {
  const offset = BigInt(index) * windowBytes;
  const rest = total - offset;
  if (index < 0 || rest <= 0n) throw new RangeError(`no window ${index} in ${total} bytes`);
  const length = rest < windowBytes ? rest : windowBytes;
  return { index, offset, length, nodeLength: roundUp(length, SECTOR) };
}

/** Some of a layer's windows, by index. */
export class WindowSet implements Iterable<number> {
  readonly #indexes: Set<number>;

  constructor(indexes: Iterable<number> = []) {
    this.#indexes = new Set(indexes);
  }

  /** Reads what toString wrote; undefined for anything else, also for windows from `count` on. */
  static parse(text: string, count: number): WindowSet | undefined {
    const set = new WindowSet();
    if (text === '') return set;
    let next = 0;
    for (const range of text.split(',')) {
      const match = /^(0|[1-9]\d{0,14})(?:-([1-9]\d{0,14}))?$/.exec(range);
      const first = Number(match?.[1] ?? -1);
      const last = Number(match?.[2] ?? first);
      if (first < next || last < first || last >= count) return undefined;
      for (let index = first; index <= last; index++) set.add(index);
      next = last + 1;
    }
    return set;
  }

  /** Ascending ranges, such as `0-4,7`. */
  toString(): string {
    const ranges: [number, number][] = [];
    for (const index of this) {
      const range = ranges.at(-1);
      if (range?.[1] === index - 1) range[1] = index;
      else ranges.push([index, index]);
    }
    return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
  }

  get size(): number {
    return this.#indexes.size;
  }

  has(index: number): boolean {
    return this.#indexes.has(index);
  }

  add(index: number): void {
    this.#indexes.add(index);
  }

  delete(index: number): void {
    this.#indexes.delete(index);
  }

  /** Is every window of it in `other` too? */
  isWithin(other: WindowSet): boolean {
    return this.#indexes.isSubsetOf(other.#indexes);
  }

  /** Bytes of the layer that its windows hold. */
  bytes(cut: Cut): bigint {
    const last = windowCount(cut) - 1;
    if (!this.has(last)) return BigInt(this.size) * cut.windowBytes;
    return BigInt(this.size - 1) * cut.windowBytes + windowAt(cut, last).length;
  }

  /** In ascending order. */
  [Symbol.iterator](): Iterator<number> {
    return [...this.#indexes].sort((a, b) => a - b).values();
  }
}
