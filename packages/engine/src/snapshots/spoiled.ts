// Which of libvirt's snapshots a commit would spoil: one that is beside an image is that image as it was.
import { type Connection, type DiskSource, sameSource } from '@blockferry/libvirt';
import type { Host } from '@blockferry/qemu';
import { fileKeys, pathOf } from '../observe/file-key.ts';
import { allNamed, chainOf, type Named } from './held.ts';

/** Places in a chain, the active image being 0: the data of those from `first` on goes into the one at `into`. */
interface Committed {
  readonly first: number;
  readonly into: number;
}

export type Spoiled = Pick<Named, 'domain' | 'snapshot'>;

/**
 * Those of any domain that go back to an image of these, or to one that stands on one of these and is no part of the
 * chain. An overlay of the chain that a snapshot only began is no state of it; a snapshot inside the image that takes the
 * data stays what it is. Where it cannot be found out what a snapshot needs, it counts as spoiled.
 *
 * @param chain the disk's, top first
 * @throws LibvirtError, HostError when storage hangs
 */
export async function snapshotsSpoiled(
  connection: Connection,
  host: Host | undefined,
  chain: readonly DiskSource[],
  committed: Committed,
): Promise<readonly Spoiled[]> {
  const spoiled: Named[] = [];
  for (const named of await allNamed(connection)) {
    const needed = await chainOf(connection, host, named.image).catch(() => undefined);
    if (needed === undefined || (await isSpoiled(host, named, needed, chain, committed))) spoiled.push(named);
  }
  const distinct = new Map(
    spoiled.map(({ domain, snapshot }) => [`${domain} ${snapshot}`, { domain, snapshot }]),
  );
  return [...distinct.values()];
}

async function isSpoiled(
  host: Host | undefined,
  { image, mode }: Named,
  needed: readonly DiskSource[],
  chain: readonly DiskSource[],
  { first, into }: Committed,
): Promise<boolean> {
  const keys = host === undefined ? new Map<string, string>() : await fileKeys(host, [...needed, ...chain]);
  const keyOf = (source: DiskSource) => keys.get(pathOf(source) ?? '');
  const depthOf = (source: DiskSource) =>
    chain.findIndex(
      (each) => sameSource(each, source) || (keyOf(each) !== undefined && keyOf(each) === keyOf(source)),
    );
  const changes = (depth: number) => depth >= first && depth <= into;
  const [own, ...below] = needed.map(depthOf);
  if (own === undefined || own === -1) return below.some(changes);
  if (image.named === 'overlay') return false;
  return changes(own) && !(own === into && mode === 'internal');
}
