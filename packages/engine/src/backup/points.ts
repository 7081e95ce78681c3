// The points in a directory of backups, as they stand: what each holds, and on which others it stands.
import { FileError, type Host, quoteArgument } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import { isPointName, manifestPath, pointPath } from './layout.ts';
import { type LockableImage, storedImage } from './locked.ts';
import { ManifestUnreadable, parseManifest } from './manifest.ts';
import type { Manifest, StoredDisk } from './model.ts';

export type Point =
  | { readonly kind: 'sealed'; readonly name: string; readonly manifest: Manifest }
  /** Without a manifest: a backup that is under way, or died. */
  | { readonly kind: 'unfinished'; readonly name: string }
  /** With the error of its file, where that is what cannot be read. */
  | {
      readonly kind: 'unreadable';
      readonly name: string;
      readonly why: string;
      readonly error?: FileError;
    };

/**
 * Oldest first. Looks at manifests only; a directory of which none is a point's is none of ours, and passed over. A manifest
 * that cannot be read (a bad sector, another owner) speaks of its own point alone.
 *
 * @throws Refusal `no-backup-directory`; FileError, HostError
 */
export async function readPoints(host: Host, directory: string): Promise<readonly Point[]> {
  const stat = await host.stat(directory);
  if (stat?.type !== 'directory') {
    const what = stat === null ? 'does not exist' : 'is no directory';
    throw new Refusal('no-backup-directory', `${directory} ${what}`, { path: directory });
  }
  const names = (await host.readdir(directory)).filter(isPointName).sort();
  return Promise.all(names.map((name) => readPoint(host, directory, name)));
}

/** @throws HostError */
export async function readPoint(host: Host, directory: string, name: string): Promise<Point> {
  try {
    const text = await host.readFile(manifestPath(directory, name));
    if (text === null) return { kind: 'unfinished', name };
    const manifest = parseManifest(text);
    if (manifest.point !== name) return { kind: 'unreadable', name, why: `it is that of ${manifest.point}` };
    return { kind: 'sealed', name, manifest };
  } catch (error) {
    if (error instanceof ManifestUnreadable) return { kind: 'unreadable', name, why: error.message };
    if (!(error instanceof FileError)) throw error;
    return { kind: 'unreadable', name, why: error.message, error };
  }
}

/**
 * The point that a backup makes or has made, on which its next step depends.
 *
 * @throws FileError when nobody knows what it is
 */
export function pointBeingMade(points: readonly Point[], name: string): Point | undefined {
  const found = points.find((point) => point.name === name);
  if (found?.kind === 'unreadable' && found.error !== undefined) throw found.error;
  return found;
}

/** A point and all that it stands on, the full one last. */
export type PointChain = readonly [Manifest, ...Manifest[]];

export type FoundChain =
  | { readonly kind: 'whole'; readonly chain: PointChain }
  | {
      readonly kind: 'broken';
      readonly why: string;
      /** What is not gone but cannot be read: another version, or another day, may read it. */
      readonly unreadable?: string;
    };

/** What a point stands on, down to a full one. Pure. */
export function chainOf(points: readonly Point[], name: string): FoundChain {
  const chain: Manifest[] = [];
  for (let wanted: string | undefined = name; wanted !== undefined; ) {
    const point = points.find((each) => each.name === wanted);
    if (point === undefined) return { kind: 'broken', why: `${wanted} is missing` };
    if (point.kind === 'unfinished') return { kind: 'broken', why: `${wanted} was never finished` };
    if (point.kind === 'unreadable') {
      return { kind: 'broken', why: `${wanted}: ${point.why}`, unreadable: wanted };
    }
    if (chain.includes(point.manifest)) return { kind: 'broken', why: `${wanted} stands on itself` };
    chain.push(point.manifest);
    const { kind, parent } = point.manifest;
    if (kind === 'incremental' && parent === undefined) {
      return { kind: 'broken', why: `${wanted} does not say what it stands on` };
    }
    wanted = kind === 'incremental' ? parent : undefined;
  }
  const [first, ...rest] = chain;
  if (first === undefined) throw new Error('a chain has a point');
  const lacking = first.disks.find(({ target }) => !chain.every(({ disks }) => hasDisk(disks, target)));
  if (lacking !== undefined) {
    return { kind: 'broken', why: `a point that ${name} stands on lacks ${lacking.target}` };
  }
  return { kind: 'whole', chain: [first, ...rest] };
}

function hasDisk(disks: readonly StoredDisk[], target: string): boolean {
  return disks.some((disk) => disk.target === target);
}

/** The images of one disk at a point, top first, down to the last of the full one. Pure. */
export function imagesOf(
  directory: string,
  chain: PointChain,
  target: string,
): readonly [LockableImage, ...LockableImage[]] {
  const images = chain.flatMap(({ point, disks }) => {
    const disk = disks.find((each) => each.target === target);
    return (disk?.images ?? []).map((image) => storedImage(pointPath(directory, point), image));
  });
  const [first, ...rest] = images;
  if (first === undefined) throw new Error(`the point has no disk ${target}`);
  return [first, ...rest];
}

/**
 * The point that is meant: the one named, or the newest that is sealed.
 *
 * @throws Refusal `no-such-point`, `point-broken`
 */
export function choosePoint(
  points: readonly Point[],
  directory: string,
  name: string | undefined,
): PointChain {
  const sealed = points.filter(({ kind }) => kind === 'sealed');
  const chosen = name === undefined ? sealed.at(-1) : points.find((each) => each.name === name);
  if (chosen === undefined) {
    const what = name === undefined ? 'no backup' : `no point ${name}`;
    const hint = `blockferry backup list ${quoteArgument(directory)} shows what there is`;
    throw new Refusal('no-such-point', `there is ${what} in ${directory}`, { path: directory }, hint);
  }
  const found = chainOf(points, chosen.name);
  if (found.kind === 'whole') return found.chain;
  throw new Refusal(
    'point-broken',
    `${chosen.name} cannot be used: ${found.why}`,
    { point: chosen.name },
    `blockferry backup list ${quoteArgument(directory)} shows which points can`,
  );
}
