// What the storage itself can do: fio reading one file and writing another at once, direct, as a copy does.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@blockferry/testbed';

export interface StorageLimit {
  readonly readMBps: number;
  readonly writeMBps: number;
  /** Of a copy: as many bytes read as written. */
  readonly copyMBps: number;
}

/** @param source a file of real data, at least as large as what is read in `seconds` or read again from its start */
export async function storageLimit(
  directory: string,
  source: string,
  seconds: number,
): Promise<StorageLimit> {
  const written = join(directory, 'fio-written');
  const shared = ['--direct=1', '--ioengine=libaio', '--iodepth=8', '--bs=4M', '--time_based'];
  const timing = [`--runtime=${seconds}`, '--output-format=json'];
  const reader = ['--name=read', '--rw=read', `--filename=${source}`];
  const writer = ['--name=write', '--rw=write', `--filename=${written}`, '--size=4G', '--fallocate=none'];
  try {
    const argv = ['fio', ...shared, ...timing, ...reader, ...writer];
    return readLimit((await run(argv, { timeoutMs: (seconds + 120) * 1000 })).stdout);
  } finally {
    await rm(written, { force: true });
  }
}

/** Reads fio's JSON. @throws Error when it is another than was asked for */
export function readLimit(text: string): StorageLimit {
  const report: unknown = JSON.parse(text.slice(text.indexOf('{')));
  const bytesPerSecond = (job: number, way: 'read' | 'write'): number => {
    const value = [`jobs`, job, way, 'bw_bytes'].reduce<unknown>(member, report);
    if (typeof value !== 'number') throw new Error(`fio told no ${way} bandwidth`);
    return value;
  };
  const readMBps = bytesPerSecond(0, 'read') / 1e6;
  const writeMBps = bytesPerSecond(1, 'write') / 1e6;
  return { readMBps, writeMBps, copyMBps: (readMBps + writeMBps) / 2 };
}

function member(value: unknown, key: string | number): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
}
