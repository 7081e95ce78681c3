// Puts libvirt's snapshot metadata right after images have moved, and says before what it would do.
import {
  type Connection,
  type Domain,
  DomainSnapshotCreateFlags,
  DomainSnapshotXmlFlags,
  DomainXmlError,
  ErrorCode,
  isLibvirtError,
  SnapshotXml,
} from '@blockferry/libvirt';
import type { Host } from '@blockferry/qemu';
import { messageOf } from '../model/errors.ts';
import { type Fate, fateOf, parentsFirst, type SameImage } from './fate.ts';
import { identify } from './identify.ts';
import type { ImageMove } from './image-move.ts';

/** The domain, and where one can look at its files; without a host, images are told apart by their names alone. */
export type SnapshotScene = {
  readonly connection: Connection;
  readonly host: Host | undefined;
  readonly domain: Pick<
    Domain,
    'listAllSnapshots' | 'currentSnapshot' | 'lookupSnapshotByName' | 'snapshotCreateXml'
  >;
};

/** What was done with a snapshot. `refused`: libvirt would not take what we made of it; it is as it was. */
export type Carried = Fate | { readonly kind: 'refused'; readonly name: string; readonly message: string };

/**
 * What `carrySnapshots` would do, for preflight and plan. Reads only, also over a read-only connection.
 *
 * @throws LibvirtError, HostError when storage hangs
 */
export async function foreseeSnapshots(
  scene: SnapshotScene,
  moves: readonly ImageMove[],
): Promise<readonly Carried[]> {
  const snapshots = await readAll(scene.domain, 0);
  const same = await identifyIn(scene, snapshots, moves);
  return snapshots.map(({ name, xml }) => fateOrRefusal(name, xml, moves, same));
}

/**
 * Redefines every snapshot that names an image that has moved, so that listing, going back to and deleting it work as
 * before: each in place (VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE), parents before children, the current one staying
 * current. What cannot come along is left as it is and returned with the reason. No metadata is ever deleted.
 *
 * Call it when the guest is on the destination for good, and before anything at the source is deleted. May be repeated
 * after a crash at any point: what has been rewritten already comes back as `untouched`.
 *
 * @throws LibvirtError OPERATION_TIMEOUT when the domain is busy, and what a lost connection throws: call again
 */
export async function carrySnapshots(
  scene: SnapshotScene,
  moves: readonly ImageMove[],
): Promise<readonly Carried[]> {
  const { domain } = scene;
  const snapshots = await readAll(domain, DomainSnapshotXmlFlags.SECURE);
  const same = await identifyIn(scene, snapshots, moves);
  const current = snapshots.length === 0 ? undefined : (await domain.currentSnapshot())?.name;
  const carried: Carried[] = [];
  for (const { name, xml } of snapshots) {
    const fate = fateOrRefusal(name, xml, moves, same);
    carried.push(fate.kind === 'rewritten' ? await redefine(domain, fate, name === current) : fate);
  }
  return carried;
}

type Snapshot = { readonly name: string; readonly parent: string | undefined; readonly xml: string };

/** Parents first. Those deleted by somebody in the meantime are left out. */
async function readAll(domain: SnapshotScene['domain'], flags: number): Promise<readonly Snapshot[]> {
  const found: Snapshot[] = [];
  for (const snapshot of await listed(domain)) {
    try {
      const xml = await snapshot.getXmlDesc(flags);
      found.push({ name: snapshot.name, parent: SnapshotXml.parse(xml).parent, xml });
    } catch (error) {
      if (!isLibvirtError(error, ErrorCode.NO_DOMAIN_SNAPSHOT)) throw error;
    }
  }
  return parentsFirst(found);
}

async function listed(domain: SnapshotScene['domain']) {
  try {
    return await domain.listAllSnapshots();
  } catch (error) {
    if (isLibvirtError(error, ErrorCode.NO_SUPPORT)) return [];
    throw error;
  }
}

async function identifyIn(
  { connection, host }: SnapshotScene,
  snapshots: readonly Snapshot[],
  moves: readonly ImageMove[],
): Promise<SameImage> {
  const xmls = snapshots.map(({ xml }) => xml);
  return identify(connection, host, xmls, moves);
}

function fateOrRefusal(name: string, xml: string, moves: readonly ImageMove[], same: SameImage): Carried {
  try {
    return fateOf(xml, moves, same);
  } catch (error) {
    // A path that XML cannot carry.
    if (error instanceof DomainXmlError) return { kind: 'refused', name, message: messageOf(error) };
    throw error;
  }
}

async function redefine(
  domain: SnapshotScene['domain'],
  fate: Fate & { readonly kind: 'rewritten' },
  isCurrent: boolean,
): Promise<Carried> {
  const { REDEFINE, CURRENT } = DomainSnapshotCreateFlags;
  try {
    // Anybody may have deleted it since it was read: redefined, it would come back.
    await domain.lookupSnapshotByName(fate.name);
    await domain.snapshotCreateXml(fate.xml, isCurrent ? REDEFINE | CURRENT : REDEFINE);
    return fate;
  } catch (error) {
    if (isLibvirtError(error, ErrorCode.NO_DOMAIN_SNAPSHOT)) return { kind: 'untouched', name: fate.name };
    if (!isLibvirtError(error) || isPassing(error.code)) throw error;
    return { kind: 'refused', name: fate.name, message: error.message };
  }
}

/** The domain is busy or gone: nothing is said about the snapshot. */
function isPassing(code: number): boolean {
  return code === ErrorCode.OPERATION_TIMEOUT || code === ErrorCode.NO_DOMAIN;
}
