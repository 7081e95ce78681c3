// Data of several images that lie on one another, as guests leave it that write here and there for years.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Image, seeded } from '@blockferry/testbed';

const CLUSTER = 65_536;
const SEED = 1;

/**
 * Each image gets so many bytes, in whole clusters of 64 KiB: spread over the end of the disk among those of the other images,
 * and written in the order of no disk. The same each time.
 */
export async function scatter(
  images: readonly Image[],
  bytes: readonly bigint[],
  size: bigint,
): Promise<void> {
  const random = seeded(SEED);
  const owners = bytes.flatMap((each, image) => new Array<number>(Number(each) / CLUSTER).fill(image));
  shuffle(owners, random);
  const from = Number(size) - owners.length * CLUSTER;
  for (const [at, image] of images.entries()) {
    const places = [...owners.keys()].filter((place) => owners[place] === at);
    shuffle(places, random);
    await write(
      image,
      places.map((place) => from + place * CLUSTER),
    );
  }
}

async function write({ path, format }: Image, offsets: readonly number[]): Promise<void> {
  const writer = spawn('qemu-io', ['-f', format, path], { stdio: ['pipe', 'ignore', 'inherit'] });
  const ended = once(writer, 'close');
  for (const [n, offset] of offsets.entries()) {
    const more = writer.stdin.write(`write -q -P ${1 + (n % 255)} ${offset} ${CLUSTER}\n`);
    if (!more) await once(writer.stdin, 'drain');
  }
  writer.stdin.end();
  const [code] = await ended;
  if (code !== 0) throw new Error(`qemu-io could not fill ${path}: ${code}`);
}

/** Fisher and Yates. */
function shuffle(values: number[], random: () => number): void {
  for (let at = values.length - 1; at > 0; at -= 1) {
    const other = Math.floor(random() * (at + 1));
    [values[at], values[other]] = [values[other] as number, values[at] as number];
  }
}
