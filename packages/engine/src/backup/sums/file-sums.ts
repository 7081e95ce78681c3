// Files read whole for their sums, one after the other, no faster than is allowed: beside a guest whose writes are guarded.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host } from '@blockferry/qemu';
import type { Bytes, BytesPerSecond, Millis } from '../../model/units.ts';
import { type Sum, sha256Of } from '../hash.ts';
import { RunningSum } from './running-sum.ts';

export interface FileToSum {
  readonly path: string;
  readonly size: Bytes;
}

const MIB = 1n << 20n;
/** What is read at a time takes about so long, and what is read too fast is rested for. */
const PIECE_MS: Millis = 250;
const MOST_AT_A_TIME = 64n * MIB;

/** So much is read at a time under a limit; 0n for none. Pure. */
export function pieceFor(speed: BytesPerSecond): Bytes {
  const wanted = (speed * BigInt(PIECE_MS)) / 1000n;
  if (speed === 0n || wanted > MOST_AT_A_TIME) return MOST_AT_A_TIME;
  return wanted < MIB ? MIB : wanted;
}

/** As long as it still has to rest to keep to a limit. Pure. */
export function restFor(bytes: Bytes, speed: BytesPerSecond, tookMs: Millis): Millis {
  return speed === 0n ? 0 : Math.max(0, (Number(bytes) * 1000) / Number(speed) - tookMs);
}

/** Has the shape of a copy, so that a guard can be set beside it. */
export class FileSums {
  readonly #host: Host;
  readonly #files: readonly FileToSum[];
  readonly #sums = new Map<string, Sum>();
  #read: Bytes = 0n;
  #speed: BytesPerSecond = 0n;

  constructor(host: Host, files: readonly FileToSum[]) {
    this.#host = host;
    this.#files = files;
  }

  /** By path; what `run` has come to. */
  get sums(): ReadonlyMap<string, Sum> {
    return this.#sums;
  }

  async setSpeed(speed: BytesPerSecond): Promise<void> {
    this.#speed = speed;
  }

  progress(): { readonly copiedNow: Bytes } {
    return { copiedNow: this.#read };
  }

  /** @throws FileError when one cannot be read to its end; HostError; the signal's reason */
  async run(signal: AbortSignal): Promise<void> {
    for (const file of this.#files) {
      const before = this.#read;
      const sum = await this.#sumInPieces(file, before, signal);
      // It could not be read in pieces: said as for any file that cannot be read.
      signal.throwIfAborted();
      const { sha256, size } = sum ?? (await sha256Of(this.#host, file.path, { signal }));
      this.#sums.set(file.path, { sha256, size });
      this.#read = before + file.size;
    }
  }

  async #sumInPieces(
    { path, size }: FileToSum,
    before: Bytes,
    signal: AbortSignal,
  ): Promise<Sum | undefined> {
    const sum = new RunningSum(this.#host, { image: path, total: size, backing: undefined }, signal);
    try {
      let last: Promise<boolean> = Promise.resolve(true);
      for (let offset = 0n; offset < size; ) {
        const speed = this.#speed;
        const piece = pieceFor(speed);
        const began = performance.now();
        const summed = sum.add({ offset, length: piece });
        offset += piece;
        // Without a limit it has the next piece already when it is through with one.
        if (!(await (speed === 0n ? last : summed))) break;
        last = summed;
        this.#read = before + sum.read;
        const restMs = restFor(piece, speed, performance.now() - began);
        if (restMs > 0) await sleep(restMs, undefined, { signal });
      }
      return await sum.result();
    } finally {
      sum.stop();
    }
  }
}
