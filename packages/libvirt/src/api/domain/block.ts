// A domain's disks: block jobs, sizes, statistics, throttling, errors.

import { BLOCK_JOB_TYPES, type BlockJobType, word } from '../../events/names.ts';
import { block } from '../../procedures/block.ts';
import { type ParamRecord, paramsToRecord } from '../../procedures/params.ts';
import type { TypedParam } from '../../procedures/types.ts';
import type { CallOptions } from '../../rpc/deadline.ts';
import { RunningDomain } from './running.ts';

/** libvirt counts rates in MiB/s unless a call's own "bytes" flag is given; we always give it. */
const BYTES = { jobInfo: 1, setSpeed: 1, pull: 64, rebase: 64, commit: 16, resize: 1 } as const;
const STRINGS_OK = 4;

export interface BlockCopyParams {
  /** Bytes a second; 0 or absent for no limit. */
  readonly bandwidth?: bigint;
  /** Bytes, a power of two: the unit in which changes are tracked. */
  readonly granularity?: number;
  /** Bytes in flight. */
  readonly bufSize?: bigint;
}

export interface BlockJobInfo {
  readonly type: BlockJobType;
  /** Bytes a second; 0 for no limit. */
  readonly bandwidth: bigint;
  /** Bytes done. cur == end is not "ready": see the live XML's mirror element. */
  readonly cur: bigint;
  readonly end: bigint;
}

export interface DiskError {
  readonly disk: string;
  readonly error: 'none' | 'unspecified' | 'noSpace' | 'unknown';
}

const DISK_ERRORS = ['none', 'unspecified', 'noSpace'] as const;

export class DomainBlocks extends RunningDomain {
  /**
   * Starts to mirror a disk to the destination in `destXml` (a `<disk>` element). The job stays at ready until
   * `blockJobAbort`. The blockJob2 event 'ready' may arrive before this returns: subscribe first.
   * Opening a destination that does not answer blocks the guest's disk and this call for as long.
   *
   * @throws LibvirtError OPERATION_INVALID on a persistent domain without DomainBlockCopyFlags.TRANSIENT_JOB,
   * BLOCK_COPY_ACTIVE when the disk has a job.
   */
  async blockCopy(
    disk: string,
    destXml: string,
    params: BlockCopyParams = {},
    flags = 0,
    options?: CallOptions,
  ): Promise<void> {
    await this.ask(block.copy, { disk, destXml, params: copyParams(params), flags }, options);
  }

  /** The disk's block job, or null when it has none. */
  async blockJobInfo(disk: string, options?: CallOptions): Promise<BlockJobInfo | null> {
    const reply = await this.ask(block.jobInfo, { disk, flags: BYTES.jobInfo }, options);
    if (!reply.found) return null;
    const { bandwidth, cur, end } = reply;
    return { type: word(BLOCK_JOB_TYPES, reply.type), bandwidth, cur, end };
  }

  /**
   * Ends the disk's job; with DomainBlockJobAbortFlags.PIVOT switches to the copy first. Returns when the job is
   * gone, unless ASYNC; even so, look at the live XML before relying on the switch.
   *
   * @throws LibvirtError BLOCK_COPY_ACTIVE when the pivot comes too early, INVALID_ARG when there is no job.
   */
  async blockJobAbort(disk: string, flags = 0, options?: CallOptions): Promise<void> {
    await this.ask(block.jobAbort, { disk, flags }, options);
  }

  /** Limits the disk's job; 0 removes the limit. */
  async blockJobSetSpeed(disk: string, bytesPerSecond: bigint, options?: CallOptions): Promise<void> {
    await this.ask(block.jobSetSpeed, { disk, bandwidth: bytesPerSecond, flags: BYTES.setSpeed }, options);
  }

  /** Merges `top` (null: the active image, with DomainBlockCommitFlags.ACTIVE) down into `base` (null: the bottom). */
  async blockCommit(
    disk: string,
    images: { readonly base?: string | null; readonly top?: string | null } = {},
    bytesPerSecond = 0n,
    flags = 0,
    options?: CallOptions,
  ): Promise<void> {
    const { base = null, top = null } = images;
    const args = { disk, base, top, bandwidth: bytesPerSecond, flags: flags | BYTES.commit };
    await this.ask(block.commit, args, options);
  }

  /** Pulls the whole backing chain into the active image. */
  async blockPull(disk: string, bytesPerSecond = 0n, options?: CallOptions): Promise<void> {
    await this.ask(block.pull, { disk, bandwidth: bytesPerSecond, flags: BYTES.pull }, options);
  }

  /** Pulls the chain down to `base`, or copies (DomainBlockRebaseFlags.COPY; transient domains only). */
  async blockRebase(
    disk: string,
    base: string | null,
    bytesPerSecond = 0n,
    flags = 0,
    options?: CallOptions,
  ): Promise<void> {
    const args = { disk, base, bandwidth: bytesPerSecond, flags: flags | BYTES.rebase };
    await this.ask(block.rebase, args, options);
  }

  /** Sets the disk's virtual size in bytes. Shrinks without complaint unless DomainBlockResizeFlags.EXTEND. */
  async blockResize(disk: string, bytes: bigint, flags = 0, options?: CallOptions): Promise<void> {
    await this.ask(block.resize, { disk, size: bytes, flags: flags | BYTES.resize }, options);
  }

  /** In bytes. `capacity` is the virtual size, `allocation` what is used, `physical` the container's size. */
  async blockInfo(
    disk: string,
    options?: CallOptions,
  ): Promise<{ readonly allocation: bigint; readonly capacity: bigint; readonly physical: bigint }> {
    return await this.ask(block.info, { disk, flags: 0 }, options);
  }

  /** Counters since the start: rd_bytes, wr_operations, flush_total_times… An empty `disk` sums all. */
  async blockStats(disk: string, options?: CallOptions): Promise<ParamRecord> {
    const { params } = await this.ask(block.stats, { disk, nparams: 16, flags: STRINGS_OK }, options);
    return paramsToRecord(params);
  }

  /** Asks for one blockThreshold event when writes pass byte `threshold` of `dev` ("vda", "vda[3]"). */
  async setBlockThreshold(dev: string, threshold: bigint, options?: CallOptions): Promise<void> {
    await this.ask(block.setThreshold, { dev, threshold, flags: 0 }, options);
  }

  /** Throttles the guest's own I/O: total_bytes_sec, write_iops_sec… as bigint; group_name as string. */
  async setBlockIoTune(
    disk: string,
    tune: Readonly<Record<string, bigint | string>>,
    flags = 0,
    options?: CallOptions,
  ): Promise<void> {
    const params = Object.entries(tune).map(([field, value]) => tuneParam(field, value));
    await this.ask(block.setIoTune, { disk, params, flags }, options);
  }

  async getBlockIoTune(disk: string, flags = 0, options?: CallOptions): Promise<ParamRecord> {
    const { params } = await this.ask(
      block.ioTune,
      { disk, nparams: 32, flags: flags | STRINGS_OK },
      options,
    );
    return paramsToRecord(params);
  }

  /** Disks on which QEMU met an I/O error since the guest was last resumed. */
  async diskErrors(options?: CallOptions): Promise<readonly DiskError[]> {
    const { errors } = await this.ask(block.errors, { max: 256, flags: 0 }, options);
    return errors.map(({ disk, error }) => ({ disk, error: word(DISK_ERRORS, error) }));
  }
}

function copyParams({ bandwidth, granularity, bufSize }: BlockCopyParams): TypedParam[] {
  const params: TypedParam[] = [];
  // The daemon checks each type exactly: granularity alone is a uint.
  if (bandwidth !== undefined)
    params.push({ field: 'bandwidth', value: { type: 'ullong', value: bandwidth } });
  if (granularity !== undefined)
    params.push({ field: 'granularity', value: { type: 'uint', value: granularity } });
  if (bufSize !== undefined) params.push({ field: 'buf-size', value: { type: 'ullong', value: bufSize } });
  return params;
}

function tuneParam(field: string, value: bigint | string): TypedParam {
  return { field, value: typeof value === 'string' ? { type: 'string', value } : { type: 'ullong', value } };
}
