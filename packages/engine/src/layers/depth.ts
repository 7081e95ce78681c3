// How many requests a job keeps under way, and how large they are: that is what a guest's request waits behind. Pure.

const MIB = 1024 * 1024;

/** Of `blockdev-backup`, as its `x-perf`. */
export type Requests = {
  readonly 'max-workers': number;
  readonly 'max-chunk'?: number;
};

/**
 * Nobody is to be spared. Measured: half of them read while the other half writes, which 8 are too few for. Each takes
 * 1 MiB, or a cluster of the target (RBD: 4 MiB) where that is more; larger ones QEMU does not make
 * (block_copy_chunk_size), whatever max-chunk says.
 */
const FULL: Requests = { 'max-workers': 32 };

/**
 * A guest is to be spared. Measured beside one that writes with O_DIRECT, whose 95th percentile is 0.7 ms alone: with
 * 32 MiB under way it is 15 ms, with 1 MiB 2 ms. See ADR 10.
 */
const GENTLE_CHUNK = MIB / 4;
const FEWEST = 4;
const MOST = 32;
/** A storage whose answers take longer than 8 ms each; the guest's own requests take long there too. */
const SLOW_WORKER = 32 * MIB;
/** A job that does less than this of what it may is not held back by its limit. */
const BINDS = 0.7;

/** What one window came to. */
export interface Copied {
  readonly bytes: bigint;
  readonly ms: number;
  /** The limit in bytes a second, if it was the same all the time; else undefined. */
  readonly speed: bigint | undefined;
}

/** The depth of one daemon's jobs, one after the other. */
export class Depth {
  #workers = FEWEST;

  /**
   * @param speed bytes a second; 0n for no limit, when nobody is to be spared
   * @param smallClusters whether the target takes requests smaller than a cluster of its own; QEMU refuses a job whose
   *   max-chunk is less than that (block/backup.c, backup_job_create)
   */
  requests(speed: bigint, smallClusters: boolean): Requests {
    if (speed === 0n) return FULL;
    const workers = { 'max-workers': this.#workers };
    return smallClusters ? { ...workers, 'max-chunk': GENTLE_CHUNK } : workers;
  }

  /** More of them where each is answered late, and the limit is not what holds the job back. */
  learn({ bytes, ms, speed }: Copied): void {
    if (speed === undefined || speed === 0n || ms <= 0) return;
    const rate = (Number(bytes) * 1000) / ms;
    const isHeldBack = rate >= BINDS * Number(speed);
    if (isHeldBack || rate / this.#workers >= SLOW_WORKER) return;
    this.#workers = Math.min(MOST, 2 * this.#workers);
  }
}
