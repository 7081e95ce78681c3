// Whole trees of the images of a host: across all domains, with what lies beside them and belongs to none. Read-only.
import { dirname } from 'node:path';
import { type DiskSource, describeSource } from '@blockferry/libvirt';
import type { Host } from '@blockferry/qemu';
import { messageOf, Refusal } from '../../model/errors.ts';
import type { MoveRecord } from '../../model/record.ts';
import { filesMadeBy } from '../../model/rounds.ts';
import { type FileKey, fileKeys } from '../../observe/file-key.ts';
import { journalPathFor } from '../../record/journal.ts';
import type { Context } from '../../run/context.ts';
import { findAllMoves } from '../../run/find-moves.ts';
import { findStrays, type Search } from './strays.ts';
import { buildTrees, type ImageKey, type SeenImage, type TreeImage } from './tree.ts';
import { declaredFormat, readUses, type UnknownUse, type Uses } from './uses.ts';
import { keyOfSource, Walk } from './walk.ts';

export interface TreesRequest {
  /** Looked through with all that is below them, besides those in which the images of chains are. Absolute. */
  readonly directories?: readonly string[];
  readonly signal?: AbortSignal;
}

export interface TreesReport {
  readonly trees: readonly TreeImage[];
  /** What could not be looked at, and may use any image. */
  readonly unknown: readonly UnknownUse[];
  /** Directories that could not be looked through. */
  readonly unread: readonly { readonly directory: string; readonly why: string }[];
  /** Directories that were looked through for images of no domain. */
  readonly searched: readonly string[];
}

/**
 * Looks at every image once, by its header. Formats are declared by definitions and by headers; only a file that
 * nobody refers to is told by how it begins, and then named to qemu-img by that format.
 *
 * @throws Refusal `no-host` for directories where no file can be looked at; what libvirt's calls and the host throw
 */
export async function inspectTrees(context: Context, request: TreesRequest = {}): Promise<TreesReport> {
  const { host, link } = context;
  const { directories = [], signal } = request;
  const uses = await readUses(await link.connection());
  if (host === undefined) {
    if (directories.length === 0) return toldByLibvirt(uses);
    const why = 'this connection gives no way to look at directories';
    throw new Refusal('no-host', why, {}, 'run it on that host');
  }
  const walk = new Walk(host, (location) => declaredFormat(uses, location), signal);
  await walk.down(uses.uses.map(({ image }) => image));
  const chains = walk.images;
  const searches = searchesOf(chains, directories);
  const known = new Set(chains.map(({ path }) => path));
  const { strays, problems } = await findStrays(host, searches, known, signal);
  // One that cannot be looked at is not said to be nobody's.
  const named = await withKeys(
    host,
    strays,
    ({ path }) => path,
    () => {},
  );
  const keys = new Set(chains.map(({ key }) => key));
  const others = named.filter(({ key }) => !keys.has(key));
  await walk.alone(others.map(({ of }) => of.image));
  // What only looked like an image: qemu-img cannot read it.
  const strayPaths = new Set(others.map(({ of }) => of.path));
  const images = walk.images.filter(({ path, problem }) => problem === undefined || !strayPaths.has(path));
  const { moves, unknown } = await openMoves(context);
  const doubts = [...uses.unknown, ...unknown];
  const readable = chains.every(({ problem }) => problem === undefined);
  return {
    trees: buildTrees({
      images,
      uses: uses.uses.map(({ image, ...use }) => ({ ...use, key: walk.keyOf(image) })),
      referred: await referredTo(host, others, uses, moves),
      complete: doubts.length === 0 && readable,
    }),
    unknown: doubts,
    unread: problems,
    searched: searches.map(({ directory }) => directory),
  };
}

/** Where no image can be opened: what live definitions say of chains, and the active images of the others. */
function toldByLibvirt(uses: Uses): TreesReport {
  const images = new Map<ImageKey, SeenImage>();
  const note = (source: DiskSource, format: string, base: DiskSource | undefined) => {
    const path = describeSource(source);
    const baseOf = base && { key: keyOfSource(base), path: describeSource(base) };
    const link = baseOf && { reference: baseOf.path, relative: false, base: baseOf, broken: undefined };
    const unread = { virtualSize: undefined, allocated: undefined, problem: undefined };
    const key = keyOfSource(source);
    if (base !== undefined || !images.has(key)) {
      images.set(key, { key, path, format, ...unread, backing: link });
    }
  };
  for (const { image, base } of uses.told) note(image.source, image.format, base?.source);
  for (const { image } of uses.uses) note(image.source, image.format, undefined);
  const seen = uses.uses.map(({ image, ...use }) => ({ ...use, key: keyOfSource(image.source) }));
  const trees = buildTrees({
    images: [...images.values()],
    uses: seen,
    referred: new Map(),
    complete: false,
  });
  return { trees, unknown: uses.unknown, unread: [], searched: [] };
}

/** Deep ones first; a directory within one of them needs no search of its own. */
function searchesOf(chains: readonly SeenImage[], directories: readonly string[]): Search[] {
  const deep = [...new Set(directories)];
  const beside = chains
    .filter(({ path, problem }) => path.startsWith('/') && !path.startsWith('/dev/') && problem === undefined)
    .map(({ path }) => dirname(path))
    .filter((directory) => !deep.some((other) => `${directory}/`.startsWith(`${other}/`)));
  return [
    ...deep.map((directory) => ({ directory, deep: true })),
    ...[...new Set(beside)].map((directory) => ({ directory, deep: false })),
  ];
}

interface Keyed<T> {
  readonly of: T;
  readonly key: FileKey;
}

/** Those that are there. */
async function withKeys<T>(
  host: Host,
  items: readonly T[],
  pathOf: (item: T) => string,
  unread?: () => void,
): Promise<Keyed<T>[]> {
  const sources = items.map((item) => ({ kind: 'file', path: pathOf(item) }) as const);
  const keys = await fileKeys(host, sources, unread);
  return items.flatMap((of) => {
    const key = keys.get(pathOf(of));
    return key === undefined ? [] : [{ of, key }];
  });
}

async function openMoves(
  context: Context,
): Promise<{ readonly moves: readonly MoveRecord[]; readonly unknown: readonly UnknownUse[] }> {
  const doubt = (error: unknown): UnknownUse => {
    const why = `its open moves cannot be read: ${messageOf(error)}`;
    return { domain: 'some domain', disk: undefined, why };
  };
  try {
    const { moves, unreadable } = await findAllMoves(context);
    return { moves, unknown: unreadable.map(doubt) };
  } catch (error) {
    return { moves: [], unknown: [doubt(error)] };
  }
}

/** What names an image that is in no chain: an open move, a journal beside it, a snapshot, any part of a definition. */
async function referredTo(
  host: Host,
  strays: readonly Keyed<{ readonly path: string }>[],
  uses: Uses,
  moves: readonly MoveRecord[],
): Promise<Map<ImageKey, string>> {
  const referred = new Map<ImageKey, string>();
  const ofMoves = await withKeys(
    host,
    moves.flatMap((move) => pathsOf(move).map((path) => ({ path, move }))),
    ({ path }) => path,
  );
  for (const { key, of } of ofMoves) {
    referred.set(key, `the open move of ${of.move.disk} of ${of.move.domain.name}`);
  }
  const journals = await withKeys(
    host,
    strays.map(({ of, key }) => ({ journal: journalPathFor(of.path), stray: key })),
    ({ journal }) => journal,
  );
  const texts = uses.texts.map(({ whose, text }) => ({ whose, text: unescaped(text) }));
  for (const { of, key } of strays) {
    const named = texts.find(({ text }) => mentions(text, of.path));
    if (named !== undefined && !referred.has(key)) referred.set(key, named.whose);
  }
  for (const { of } of journals) {
    if (!referred.has(of.stray)) referred.set(of.stray, `a move's journal, ${of.journal}`);
  }
  return referred;
}

function pathsOf({ layered, origin, destination, sources }: MoveRecord): string[] {
  const images = [origin, destination, ...sources, ...(layered ? filesMadeBy(layered) : [])];
  return images.flatMap(({ source }) => (source.kind === 'file' ? [source.path] : []));
}

/** As a whole name, with nothing after it: `/a/b` is not named by `/a/b.old`. */
function mentions(text: string, path: string): boolean {
  for (let at = text.indexOf(path); at >= 0; at = text.indexOf(path, at + 1)) {
    if (/^['"<]/.test(text.slice(at + path.length))) return true;
  }
  return false;
}

function unescaped(xml: string): string {
  const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', apos: "'", quot: '"', amp: '&' };
  return xml.replace(/&(\w+);/g, (whole, name: string) => entities[name] ?? whole);
}
