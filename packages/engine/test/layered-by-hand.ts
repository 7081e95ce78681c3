// What strategy `layered` does to a disk, step by step and without the engine: qemu-img and cp in the copier's place.
import { copyFile, mkdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import {
  type Domain,
  DomainBlockCommitFlags,
  DomainBlockCopyFlags,
  DomainBlockJobAbortFlags,
  DomainSnapshotCreateFlags,
  DomainXml,
  diskElement,
  snapshotXml,
} from '@blockferry/libvirt';
import { run, until } from '@blockferry/testbed';
import type { ImageMove } from '../src/snapshots/image-move.ts';

export type Moment = 'frozen' | 'copied' | 'mirroring' | 'on-carrier' | 'committing' | 'collapsed';

/** What the guest, or somebody else, does at each moment of the move. */
export type Meanwhile = (moment: Moment) => Promise<void>;

export type ByHand = {
  readonly domain: Domain;
  readonly disk: string;
  /** Where the copies go. */
  readonly directory: string;
  /** The disk's images, top first. All are qcow2. */
  readonly chain: readonly string[];
};

const nothing = async () => {};
const qcow2 = (path: string) => ({ source: { kind: 'file', path } as const, format: 'qcow2' });

/** Moves the whole chain, and returns what went where. The domain runs all the time. */
export async function moveByHand(move: ByHand, meanwhile: Meanwhile = nothing): Promise<ImageMove[]> {
  await freeze(move);
  await meanwhile('frozen');
  const copies = await copyLayers(move);
  const [top = ''] = copies;
  await meanwhile('copied');
  await mirror(move, await makeOverlay(`${top}.carrier`, top), () => meanwhile('mirroring'));
  await meanwhile('on-carrier');
  await commitActive(move, top, () => meanwhile('committing'));
  await meanwhile('collapsed');
  const { disk, chain } = move;
  return chain.map((from, at) => ({ disk, from: qcow2(from), how: 'bytes', to: qcow2(copies[at] ?? '') }));
}

/** Puts the guest on an overlay that exists, as the engine does, and returns its path. */
export async function freeze({ domain, disk, chain }: ByHand): Promise<string> {
  const [top = ''] = chain;
  const path = await makeOverlay(`${top}.overlay`, top);
  const live = DomainXml.parse(await domain.getXmlDesc());
  const disks = live
    .disks()
    .map(({ target }) =>
      target === disk
        ? { target, source: { kind: 'file' as const, path }, format: 'qcow2' }
        : { target, snapshot: 'no' as const },
    );
  const { DISK_ONLY, REUSE_EXT, ATOMIC, NO_METADATA } = DomainSnapshotCreateFlags;
  await domain.snapshotCreateXml(snapshotXml({ disks }), DISK_ONLY | REUSE_EXT | ATOMIC | NO_METADATA);
  return path;
}

export async function makeOverlay(path: string, backing: string): Promise<string> {
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-b', backing, '-F', 'qcow2', path]);
  return path;
}

/** Copies the bytes of all layers and links the copies with one another. Returns their paths, top first. */
export async function copyLayers({
  chain,
  directory,
}: Pick<ByHand, 'chain' | 'directory'>): Promise<string[]> {
  await mkdir(directory, { recursive: true });
  const copies = chain.map((path) => join(directory, basename(path)));
  for (const [at, path] of chain.entries()) await copyFile(path, copies[at] ?? '');
  for (const [at, path] of copies.entries()) {
    const below = copies[at + 1];
    if (below !== undefined) await relink(path, below);
  }
  return copies;
}

export async function relink(path: string, below: string): Promise<void> {
  const backing = ['-F', 'qcow2', '-b', below];
  await run(['qemu-img', 'rebase', '-u', '-f', 'qcow2', ...backing, path], { cwd: dirname(path) });
}

/** A shallow block copy of the active image onto the image `to`, and the pivot. */
export async function mirror(
  { domain, disk }: Pick<ByHand, 'domain' | 'disk'>,
  to: string,
  meanwhile: () => Promise<void> = nothing,
): Promise<void> {
  const { SHALLOW, REUSE_EXT, TRANSIENT_JOB } = DomainBlockCopyFlags;
  const flags = SHALLOW | REUSE_EXT | TRANSIENT_JOB;
  await domain.blockCopy(disk, diskElement({ kind: 'file', path: to }, 'qcow2'), {}, flags);
  await meanwhile();
  await pivot(domain, disk);
}

/** Commits the active image, and all between, into `base`. */
export async function commitActive(
  { domain, disk }: Pick<ByHand, 'domain' | 'disk'>,
  base: string,
  meanwhile: () => Promise<void> = nothing,
): Promise<void> {
  await domain.blockCommit(disk, { base }, 0n, DomainBlockCommitFlags.ACTIVE);
  await meanwhile();
  await pivot(domain, disk);
}

async function pivot(domain: Domain, disk: string): Promise<void> {
  const mirrorOf = async () => DomainXml.parse(await domain.getXmlDesc()).disk(disk)?.mirror;
  await until('a mirror that is ready', async () => ((await mirrorOf())?.ready === 'yes' ? true : undefined));
  await domain.blockJobAbort(disk, DomainBlockJobAbortFlags.PIVOT);
  await until('the end of the job', async () => ((await mirrorOf()) === undefined ? true : undefined));
}
