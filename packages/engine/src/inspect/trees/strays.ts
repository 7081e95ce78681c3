// Images in directories that no chain has. A file counts as one if it begins as images of a known format do, and
// qemu-img, told that format, can read its header. Raw images begin with anything, so none is found.
import { type Host, HostError, type Image } from '@blockferry/qemu';
import { messageOf } from '../../model/errors.ts';

export interface Stray {
  readonly image: Image;
  readonly path: string;
}

export interface Search {
  readonly directory: string;
  /** With all that is below it, on the same file system. */
  readonly deep: boolean;
}

export interface Found {
  readonly strays: readonly Stray[];
  /** Directories that could not be looked through to their end. */
  readonly problems: readonly { readonly directory: string; readonly why: string }[];
}

/** What the first bytes of a file say, in hexadecimal. (QEMU: bdrv_probe of each driver in block/.) */
const MAGICS: readonly (readonly [RegExp, string])[] = [
  [/^514649fb0000000[23]/, 'qcow2'],
  [/^514649fb00000001/, 'qcow'],
  [/^51454400/, 'qed'],
  [/^4b444d56|^434f5744/, 'vmdk'],
  [/^7668647866696c65/, 'vhdx'],
  [/^636f6e6563746978/, 'vpc'],
  [/^4c554b53babe/, 'luks'],
  [/^.{128}7f10dabe/, 'vdi'],
];

const BYTES = 72;
const FILES_AT_ONCE = 256;
const WITHIN_MS = 60_000;
const MAX_LISTING = 64 * 1024 * 1024;

/** The first bytes of each file as one line, empty where it cannot be read: no byte of it decides where a line ends. */
const FIRST_BYTES = `for file; do printf '%s\\n' "$(od -An -v -tx1 -N${BYTES} -- "$file" 2>/dev/null | tr -d ' \\n')"; done`;

/** The format whose images begin so; undefined for none. This is the only place where a format is not declared. */
export function formatByMagic(hex: string): string | undefined {
  return MAGICS.find(([magic]) => magic.test(hex))?.[1];
}

/**
 * Reads the beginnings of files, and nothing else of them. Writes nothing.
 *
 * @param known paths of images that are known already
 * @throws HostError when the host itself cannot be asked
 */
export async function findStrays(
  host: Host,
  searches: readonly Search[],
  known: ReadonlySet<string>,
  signal?: AbortSignal,
): Promise<Found> {
  const files = new Set<string>();
  const problems: Found['problems'][number][] = [];
  for (const { directory, deep } of searches) {
    try {
      const { paths, problem } = await filesIn(host, directory, deep, signal);
      for (const path of paths) if (!known.has(path)) files.add(path);
      if (problem !== undefined) problems.push({ directory, why: problem });
    } catch (error) {
      if (error instanceof HostError && error.code !== 'timeout') throw error;
      problems.push({ directory, why: messageOf(error) });
    }
  }
  const paths = [...files];
  const strays: Stray[] = [];
  for (let at = 0; at < paths.length; at += FILES_AT_ONCE) {
    strays.push(...(await imagesAmong(host, paths.slice(at, at + FILES_AT_ONCE), signal)));
  }
  return { strays, problems };
}

async function filesIn(
  host: Host,
  directory: string,
  deep: boolean,
  signal?: AbortSignal,
): Promise<{ readonly paths: readonly string[]; readonly problem: string | undefined }> {
  const depth = deep ? [] : ['-maxdepth', '1'];
  // The slash has it look behind a symbolic link.
  const argv = ['find', `${directory}/`, '-xdev', ...depth, '-type', 'f', '-size', '+0', '-print0'];
  const limits = { timeoutMs: WITHIN_MS, maxOutputBytes: MAX_LISTING, ...(signal && { signal }) };
  const { stdout, stderr, code } = await host.run(argv, limits);
  const paths = stdout.split('\0').filter((path) => path !== '');
  // It goes on past what it may not enter.
  const problem = code === 0 ? undefined : stderr.trim().replace(/^find: /, '');
  return { paths: paths.map((path) => path.replace(/\/+/g, '/')), problem };
}

async function imagesAmong(host: Host, paths: readonly string[], signal?: AbortSignal): Promise<Stray[]> {
  const limits = { timeoutMs: WITHIN_MS, ...(signal && { signal }) };
  const { stdout } = await host.run(['sh', '-c', FIRST_BYTES, 'sh', ...paths], limits);
  const lines = stdout.split('\n');
  return paths.flatMap((path, index) => {
    const format = formatByMagic(lines[index] ?? '');
    return format === undefined ? [] : [{ path, image: { location: { kind: 'file', path }, format } }];
  });
}
