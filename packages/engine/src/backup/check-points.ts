// Is a point what its manifest says, and can its disks be read? Sizes and sums first, then headers, then qemu-img check.
import { join } from 'node:path';
import { check, type Host, type Image, readHeader, resolveBackingReference } from '@blockferry/qemu';
import { messageOf } from '../model/errors.ts';
import type { Bytes } from '../model/units.ts';
import { toRef } from '../storage/to-image.ts';
import { Pace } from '../verify/pace.ts';
import { pointPath } from './layout.ts';
import { readingPoints } from './lock.ts';
import type { LockableImage } from './locked.ts';
import type { Manifest } from './model.ts';
import { chainOf, imagesOf, type Point, type PointChain } from './points.ts';
import type { WorkOptions } from './report.ts';
import { sumFile } from './sums/file-sums.ts';

export interface CheckedPoint {
  readonly point: string;
  /** None: it is good, and so is all that it stands on. */
  readonly problems: readonly string[];
}

/**
 * Reads the files of all these points and of those that they stand on, each once. Changes nothing; may be repeated.
 *
 * @throws Refusal `backup-at-work`; HostError, which the signal also causes. What is wrong with a point is no error
 */
export async function checkPoints(
  host: Host,
  directory: string,
  points: readonly Point[],
  names: readonly string[],
  options: WorkOptions,
): Promise<readonly CheckedPoint[]> {
  using _ = await readingPoints(host, directory, options.signal);
  const found = names.map((name) => ({ name, chain: chainOf(points, name) }));
  const chains = found.flatMap(({ chain }) => (chain.kind === 'whole' ? [chain.chain] : []));
  const own = await checkEach(host, directory, chains, options);
  return found.map(({ name, chain }) => {
    if (chain.kind === 'broken') return { point: name, problems: [chain.why] };
    return { point: name, problems: chain.chain.flatMap(({ point }) => own.get(point) ?? []) };
  });
}

async function checkEach(
  host: Host,
  directory: string,
  chains: readonly PointChain[],
  options: WorkOptions,
): Promise<ReadonlyMap<string, readonly string[]>> {
  // With each point's own chain: what its images stand on.
  const each = new Map(chains.flatMap((chain) => chain.map((manifest, at) => [manifest, tail(chain, at)])));
  const total = [...each.keys()].reduce((sum, { files }) => sum + sizeOf(files), 0n);
  const pace = new Pace(total);
  const problems = new Map<string, readonly string[]>();
  let done = 0n;
  for (const [manifest, chain] of each) {
    const before = done;
    const onRead = (bytes: Bytes) => {
      options.report({ type: 'progress', stage: 'checking', ...pace.at(before + bytes) });
    };
    const wrong = await wrongFiles(host, directory, manifest, { signal: options.signal, onRead });
    const images = wrong.length > 0 ? [] : await wrongImages(host, directory, chain, options.signal);
    problems.set(manifest.point, [...wrong, ...images]);
    done += sizeOf(manifest.files);
  }
  return problems;
}

function tail(chain: PointChain, at: number): PointChain {
  const [first, ...rest] = chain.slice(at);
  if (first === undefined) throw new Error('a chain has a point');
  return [first, ...rest];
}

function sizeOf(files: Manifest['files']): Bytes {
  return files.reduce((sum, { size }) => sum + size, 0n);
}

async function wrongFiles(
  host: Host,
  directory: string,
  { point, files }: Manifest,
  { signal, onRead }: { readonly signal: AbortSignal; readonly onRead: (bytes: Bytes) => void },
): Promise<readonly string[]> {
  const problems: string[] = [];
  let done = 0n;
  for (const file of files) {
    const path = join(pointPath(directory, point), file.path);
    const before = done;
    const problem = await wrongFile(host, path, file, {
      signal,
      onRead: (bytes) => onRead(before + bytes),
    });
    if (problem !== undefined) problems.push(problem);
    done += file.size;
    onRead(done);
  }
  return problems;
}

async function wrongFile(
  host: Host,
  path: string,
  { size, sha256 }: Manifest['files'][number],
  options: { readonly signal: AbortSignal; readonly onRead: (bytes: Bytes) => void },
): Promise<string | undefined> {
  try {
    const stat = await host.stat(path);
    if (stat === null) return `${path} is missing`;
    if (stat.size !== size) return `${path} has ${stat.size} bytes instead of ${size}`;
    const sum = await sumFile(host, { path, size }, options);
    return sum.sha256 === sha256 ? undefined : `${path} holds other bytes than were written (SHA-256)`;
  } catch (error) {
    options.signal.throwIfAborted();
    return messageOf(error);
  }
}

/** The images of a point alone; those below are the business of the points that brought them. */
async function wrongImages(
  host: Host,
  directory: string,
  chain: PointChain,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const { target, images, capacity } of chain[0].disks) {
    const all = imagesOf(directory, chain, target);
    for (const [at, image] of all.slice(0, images.length).entries()) {
      const problem = await wrongImage(host, image, all[at + 1], signal).catch((error: unknown) => {
        signal.throwIfAborted();
        return messageOf(error);
      });
      if (problem !== undefined) problems.push(problem);
    }
    const [top] = all;
    const header = problems.length === 0 ? await readHeader(host, top) : undefined;
    if (header !== undefined && header.virtualSize !== capacity) {
      problems.push(`${nameOf(top)} shows ${header.virtualSize} bytes instead of ${capacity}`);
    }
  }
  return problems;
}

async function wrongImage(
  host: Host,
  image: LockableImage,
  below: LockableImage | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { backing } = await readHeader(host, image, { signal });
  if (backing === null && below !== undefined) return `${nameOf(image)} names no backing file`;
  if (backing !== null) {
    const named = resolveBackingReference(image.location, backing.reference);
    const path = named.location.kind === 'file' ? await host.realpath(named.location.path) : undefined;
    if (below === undefined || path !== (await host.realpath(nameOf(below)))) {
      return `${nameOf(image)} stands on ${backing.reference}, which is not what it was made on`;
    }
    // Headers name the format of what is raw in LUKS as libvirt does.
    if (backing.format !== toRef(below).format)
      return `${nameOf(image)} names another format for ${nameOf(below)}`;
  }
  // Only with its secret; it was checked so when it was made, and its sum says that it is the same.
  if (image.secret !== undefined) return undefined;
  const result = await check(host, image, { signal });
  return result.verdict === 'corrupt' ? `${nameOf(image)} is corrupt (qemu-img check)` : undefined;
}

function nameOf({ location }: Image): string {
  if (location.kind !== 'file') throw new Error('images of a backup are files');
  return location.path;
}
