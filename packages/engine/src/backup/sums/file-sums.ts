// Files read whole for their sums, no faster than is allowed: beside a guest whose writes are guarded.
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf, FileError, type Host } from '@blockferry/qemu';
import type { Bytes, BytesPerSecond, Millis } from '../../model/units.ts';
import { RunningSum, type Sum } from './running-sum.ts';

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

interface SumOptions {
  readonly signal: AbortSignal;
  /** How fast it may be read at that moment; 0n: as fast as can be. */
  speed?(): BytesPerSecond;
  /** Told how many bytes of it have been read so far. */
  onRead?(bytes: Bytes): void;
}

/**
 * Reads a file that nobody writes to, from the storage. May be repeated.
 *
 * @throws FileError when it cannot be read to its end; HostError; the signal's reason
 */
export async function sumFile(host: Host, { path, size }: FileToSum, options: SumOptions): Promise<Sum> {
  const { signal } = options;
  const request = { image: path, total: size, backing: undefined, isAtRest: true };
  const sum = new RunningSum(host, request, signal);
  try {
    await readInPieces(sum, size, options);
    const found = await sum.result();
    if (found !== undefined) return { sha256: found.sha256, size };
  } finally {
    sum.stop();
  }
  signal.throwIfAborted();
  const detail = (await sum.complaint()) || 'it could not be read to its end';
  throw new FileError({ code: errnoOf(detail), host: host.name, operation: 'read', path, detail });
}

async function readInPieces(
  sum: RunningSum,
  size: Bytes,
  { signal, speed: allowed = () => 0n, onRead = () => {} }: SumOptions,
): Promise<void> {
  let last: Promise<boolean> = Promise.resolve(true);
  for (let offset = 0n; offset < size; ) {
    const speed = allowed();
    const piece = pieceFor(speed);
    const began = performance.now();
    const summed = sum.add({ offset, length: piece });
    offset += piece;
    // Without a limit it has the next piece already when it is through with one.
    if (!(await (speed === 0n ? last : summed))) return;
    last = summed;
    onRead(sum.read);
    const restMs = restFor(piece, speed, performance.now() - began);
    if (restMs > 0) await sleep(restMs, undefined, { signal });
  }
}

/** Several, one after the other. Has the shape of a copy, so that a guard can be set beside it. */
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

  /** @throws as sumFile */
  async run(signal: AbortSignal): Promise<void> {
    for (const file of this.#files) {
      const before = this.#read;
      const onRead = (bytes: Bytes) => {
        this.#read = before + bytes;
      };
      const sum = await sumFile(this.#host, file, { signal, speed: () => this.#speed, onRead });
      this.#sums.set(file.path, sum);
      onRead(file.size);
    }
  }
}
