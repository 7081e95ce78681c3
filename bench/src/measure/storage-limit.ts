// What the storage itself can do: fio reading one file and writing another at once, direct, as much of the one as of the
// other, as a copy does. (For a given time, a reader would take nearly all of some storage.)
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@blockferry/testbed';

export interface StorageLimit {
  readonly readMBps: number;
  readonly writeMBps: number;
  /** Of a copy, which reads as much as it writes and is done when both are. */
  readonly copyMBps: number;
}

/** @param source a file of real data, of at least `bytes` */
export async function storageLimit(directory: string, source: string, bytes: bigint): Promise<StorageLimit> {
  const written = join(directory, 'fio-written');
  const shared = ['--direct=1', '--ioengine=libaio', '--iodepth=16', '--bs=1M', `--size=${bytes}`];
  const reader = ['--name=read', '--rw=read', `--filename=${source}`];
  const writer = ['--name=write', '--rw=write', `--filename=${written}`, '--fallocate=none'];
  try {
    const argv = ['fio', ...shared, '--output-format=json', ...reader, ...writer];
    return readLimit((await run(argv, { timeoutMs: 120_000 })).stdout);
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
  return { readMBps, writeMBps, copyMBps: Math.min(readMBps, writeMBps) };
}

function member(value: unknown, key: string | number): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
}
