// Puts files into an image's file system and lists them, in milliseconds (guestfish needs some 15 s for it).
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Image, withRawView } from './raw-view.ts';

/** Where the first partition begins, as every partitioning program since 2010 puts it. */
export const partitionOffset = 1024n * 1024n;

/**
 * Makes a partition from 1 MiB to `partitionEnd` with an empty ext4 file system in it.
 * @throws {RunError}
 */
export async function makeFileSystem(image: Image, partitionEnd: bigint): Promise<void> {
  const sectors = (partitionEnd - partitionOffset) / 512n;
  const table = `label: dos\\nstart=${partitionOffset / 512n}, size=${sectors}, type=83\\n`;
  const kib = (partitionEnd - partitionOffset) / 1024n;
  const script = `printf '${table}' | sfdisk -q "$1" && mke2fs -q -t ext4 -F -E offset=${partitionOffset} "$1" ${kib}k`;
  await withRawView(image, 'write', (view) => ['sh', '-euc', script, 'sh', view]);
}

/**
 * Puts a file with this content into the root directory of the image's file system, replacing one of that name.
 * @throws {Error} with debugfs's words when it does not fit.
 */
export async function putFile(image: Image, path: string, content: string | Uint8Array): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'bf-put-'));
  try {
    const source = join(directory, 'content');
    await writeFile(source, content);
    await putFileFrom(image, path, source);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** As `putFile`, with the content of the file `source` on this machine. @throws {Error} */
export async function putFileFrom(image: Image, path: string, source: string): Promise<void> {
  await debugfs(image, 'write', `rm ${inRoot(path)}\nwrite ${source} ${inRoot(path)}\n`);
}

/** The names of the files in the root directory of the image's file system, sorted. @throws {Error} */
export async function listFiles(image: Image): Promise<string[]> {
  const listing = await debugfs(image, 'read', 'ls -p /');
  const names = [...listing.matchAll(/^\/\d+\/\d+\/\d+\/\d+\/([^/]+)\/\d*\/$/gm)].map(
    ([, name = '']) => name,
  );
  return names.filter((name) => !['.', '..', 'lost+found'].includes(name)).sort((a, b) => (a < b ? -1 : 1));
}

/** The text of a file in the root directory of the image's file system. @throws {Error} when it is not there. */
export async function readTextFile(image: Image, path: string): Promise<string> {
  return debugfs(image, 'read', `cat ${inRoot(path)}`);
}

function inRoot(path: string): string {
  const name = path.replace(/^\//, '');
  if (!/^[\w.-]+$/.test(name)) throw new Error(`${path}: only plain names in the root directory`);
  return `/${name}`;
}

async function debugfs(image: Image, access: 'read' | 'write', commands: string): Promise<string> {
  const how = access === 'write' ? ['-w', '-f', '-'] : ['-R', commands];
  const { stdout, stderr } = await withRawView(
    image,
    access,
    (view) => ['debugfs', ...how, `${view}?offset=${partitionOffset}`],
    commands,
  );
  // debugfs exits with 0 whatever happened, and says its version on stderr.
  const complaints = stderr
    .split('\n')
    .filter((line) => line !== '' && !/^debugfs \d|^rm: File not found/.test(line));
  if (complaints.length > 0) throw new Error(`${image.path}: ${complaints.join('; ')}`);
  return stdout;
}
