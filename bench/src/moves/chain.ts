// The chain that all moves start from: 2 + 1 + 0.5 GiB of data that no compression shrinks, times the scale.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type Image, type LibvirtHost, makeChain, type Region, run } from '@blockferry/testbed';
import { scatter } from './scatter.ts';

export interface BenchChain {
  readonly directory: string;
  readonly base: Image;
  readonly top: Image;
  /** Where the guest writes: allocated in the active image already, so that all rounds are alike. */
  readonly region: Region;
  /** Data in the whole chain, and in the active image alone. */
  readonly bytes: bigint;
  readonly topBytes: bigint;
  /** Data in the base alone. */
  readonly baseBytes: bigint;
}

const MIB = 1n << 20n;
const LAYERS = { base: 2048, snap1: 1024, snap2: 512 } as const;

/**
 * `fresh`: the data of each image lies in one place of the disk, and in the image in order. `aged`: as guests leave it that write
 * here and there for years, one cluster (64 KiB) of each image beside one of another, in the order of no disk.
 */
export type Layout = 'fresh' | 'aged';

export async function makeBenchChain(
  host: LibvirtHost,
  name: string,
  scale: number,
  layout: Layout = 'fresh',
): Promise<BenchChain> {
  const directory = join(host.imagesDir, name);
  await mkdir(directory);
  const fill = {
    base: scaled(LAYERS.base, scale),
    snap1: scaled(LAYERS.snap1, scale),
    snap2: scaled(LAYERS.snap2, scale),
  };
  const size = scaled(8192, scale) + 128n * MIB;
  const filled = layout === 'fresh' ? { fill } : {};
  const { images, top } = await makeChain(directory, Object.keys(LAYERS), { size, ...filled });
  if (layout === 'aged') await scatter(images, Object.values(fill), size);
  const [base] = images;
  if (base === undefined) throw new Error('a chain without a base');
  const region = writersRegion(size);
  const write = `write -q -P 7 ${region.offset} ${region.length}`;
  await run(['qemu-io', '-f', top.format, '-c', write, top.path], { timeoutMs: 120_000 });
  const topBytes = fill.snap2 + region.length;
  return {
    directory,
    base,
    top,
    region,
    bytes: fill.base + fill.snap1 + topBytes,
    topBytes,
    baseBytes: fill.base,
  };
}

/** A sixteenth of the disk from its first quarter on, at most 256 MiB: the guest reads it all when it boots. */
function writersRegion(size: bigint): Region {
  const whole = (bytes: bigint) => (bytes / MIB) * MIB;
  const length = whole(size / 16n);
  return { offset: whole(size / 4n), length: length > 256n * MIB ? 256n * MIB : length };
}

function scaled(mebibytes: number, scale: number): bigint {
  return BigInt(Math.max(1, Math.round(mebibytes * scale))) * MIB;
}
