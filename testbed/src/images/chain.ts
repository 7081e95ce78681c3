// Makes backing chains such as base <- snap1 <- snap2, with a file system in one half and room for the guest's writer.
import { createCipheriv } from 'node:crypto';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Region } from '../guest/guest.ts';
import { run } from '../process/run.ts';
import { makeFileSystem, putFile } from './files.ts';
import type { Image } from './raw-view.ts';

export type ChainOptions = {
  /** Virtual size in bytes; default 64 MiB. */
  readonly size?: bigint;
  /** The base's format; overlays are always qcow2. Default qcow2. */
  readonly baseFormat?: 'qcow2' | 'raw';
  /** Bytes of incompressible data to put behind the writer's region: into each layer, or by name. Default none. */
  readonly fill?: bigint | Readonly<Record<string, bigint>>;
  /** What to put into each layer's root directory: `{ base: { '/foo': 'text' } }`. */
  readonly files?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Write the backing file into an overlay as a bare name instead of a whole path. Default false. */
  readonly relativeBacking?: boolean;
};

export type Chain = {
  /** Base first. */
  readonly images: readonly Image[];
  /** The active image. */
  readonly top: Image;
  readonly size: bigint;
  /** Behind the partition, for the guest's writer. */
  readonly region: Region;
};

const mebibyte = 1024n * 1024n;

/**
 * The part of a disk behind its partition for the guest's writer: from the middle, a quarter of the disk but at most
 * 32 MiB, for the guest reads it all when it boots. What is behind it is for the fill.
 */
export function writerRegion(size: bigint): Region {
  const offset = (size / 2n / mebibyte) * mebibyte;
  const quarter = (size / 4n / mebibyte) * mebibyte;
  return { offset, length: quarter < 32n * mebibyte ? quarter : 32n * mebibyte };
}

/**
 * Makes one image for each name in `directory`, each on top of the one before, called NAME.qcow2 or NAME.raw.
 *
 * The base gets a partition of half the disk with ext4. Takes some 0.1 s an image without `fill`.
 * @throws {RunError}
 */
export async function makeChain(
  directory: string,
  names: readonly string[],
  options: ChainOptions = {},
): Promise<Chain> {
  const size = options.size ?? 64n * mebibyte;
  const region = writerRegion(size);
  const images: Image[] = [];
  let fillAt = region.offset + region.length;
  for (const name of names) {
    const below = images.at(-1);
    const image = await createLayer(directory, name, below, size, options);
    if (below === undefined) await makeFileSystem(image, region.offset);
    for (const [path, content] of Object.entries(options.files?.[name] ?? {}))
      await putFile(image, path, content);
    const fill = typeof options.fill === 'object' ? (options.fill[name] ?? 0n) : (options.fill ?? 0n);
    if (fill > 0n) await fillLayer(image, { offset: fillAt, length: fill }, size, images.length);
    fillAt += fill;
    images.push(image);
  }
  const top = images.at(-1);
  if (top === undefined) throw new Error('a chain has at least one image');
  return { images, top, size, region };
}

async function createLayer(
  directory: string,
  name: string,
  below: Image | undefined,
  size: bigint,
  options: ChainOptions,
): Promise<Image> {
  const format = below === undefined ? (options.baseFormat ?? 'qcow2') : 'qcow2';
  const image: Image = { path: join(directory, `${name}.${format}`), format };
  const create = ['qemu-img', 'create', '-q', '-f', format];
  if (below === undefined) await run([...create, image.path, String(size)]);
  else {
    const backing = options.relativeBacking === true ? basename(below.path) : below.path;
    await run([...create, '-b', backing, '-F', below.format, image.path, String(size)], { cwd: directory });
  }
  return image;
}

/** Fills `place` with bytes that no compression shrinks; each layer has its own place, and its own bytes. */
async function fillLayer(
  image: Image,
  { offset, length: bytes }: Region,
  size: bigint,
  layer: number,
): Promise<void> {
  if (offset + bytes > size)
    throw new Error(`${image.path}: no room for ${bytes} bytes of fill at ${offset}`);
  const directory = await mkdtemp(join(dirname(image.path), '.fill-'));
  try {
    const noise = join(directory, 'noise');
    await writeNoise(noise, layer, bytes);
    const format = { driver: image.format, file: { driver: 'file', filename: image.path } };
    const window = { driver: 'raw', offset: Number(offset), size: Number(bytes), file: format };
    const argv = [
      'qemu-img',
      'convert',
      '-n',
      '-f',
      'raw',
      '-O',
      'raw',
      noise,
      `json:${JSON.stringify(window)}`,
    ];
    await run(argv, { timeoutMs: 600_000 });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function writeNoise(path: string, seed: number, bytes: bigint): Promise<void> {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, seed + 1), Buffer.alloc(16));
  const zeros = Buffer.alloc(Number(mebibyte));
  const file = await open(path, 'w');
  try {
    for (let left = bytes; left > 0n; left -= mebibyte) {
      await file.write(cipher.update(left < mebibyte ? zeros.subarray(0, Number(left)) : zeros));
    }
  } finally {
    await file.close();
  }
}
