// What becomes of a snapshot when images move: pure, from its XML and the moves to its new XML or the reasons against.
import {
  type DiskSource,
  describeSource,
  type SnapshotImage,
  SnapshotXml,
  sameSource,
} from '@blockferry/libvirt';
import { unreachable } from '../model/units.ts';
import type { ImageMove } from './image-move.ts';

/** Why a snapshot cannot come along. It stays as it is, with the images at the source. */
export type Loss = {
  readonly disk: string;
  /** The image that cannot be exchanged, in words for people. */
  readonly image: string;
  readonly why: LossReason;
};

export type LossReason =
  /** It is kept inside the image, and the image's contents alone were moved. */
  | 'internal'
  /** The storage keeps it, at the image's old place. */
  | 'manual'
  /** The image became part of the one above it. */
  | 'dissolved'
  /** What was written after the snapshot is in an image that is no part of the disk's chain, and stays. */
  | 'branch';

export type Fate =
  /** It names no image that moves. */
  | { readonly kind: 'untouched'; readonly name: string }
  | { readonly kind: 'rewritten'; readonly name: string; readonly xml: string }
  | { readonly kind: 'left'; readonly name: string; readonly losses: readonly Loss[] };

/** Do both name the same image? The default goes by what they say; see `identify` for other names of one file. */
export type SameImage = (a: DiskSource, b: DiskSource) => boolean;

/**
 * What becomes of the snapshot whose metadata `xml` is. A snapshot comes along as a whole or not at all: half of it at
 * the destination and half at the source would be neither.
 *
 * Asked again with the XML it gave, it answers `untouched`, which makes a set that was half rewritten when the process
 * died one that is finished by starting over.
 *
 * @throws DomainXmlError for XML that is no snapshot's, or a path that XML cannot carry
 * @throws TypeError when an image moves to where another one of them was
 */
export function fateOf(xml: string, moves: readonly ImageMove[], sameImage: SameImage = sameSource): Fate {
  checkPlaces(moves);
  const snapshot = SnapshotXml.parse(xml);
  const { name } = snapshot;
  const moveOf = ({ target, source }: SnapshotImage): ImageMove | undefined =>
    moves.find(({ disk, from }) => disk === target && sameImage(from.source, source));
  const losses = snapshot.images().flatMap((image) => {
    const why = lossOf(snapshot, image, moveOf);
    return why === undefined ? [] : [{ disk: image.target, image: describeSource(image.source), why }];
  });
  if (losses.length > 0) return { kind: 'left', name, losses: distinct(losses) };
  const rewritten = snapshot.withImages((image) => {
    const move = moveOf(image);
    return move === undefined || move.how === 'dissolved' ? undefined : move.to;
  });
  return rewritten === xml ? { kind: 'untouched', name } : { kind: 'rewritten', name, xml: rewritten };
}

function checkPlaces(moves: readonly ImageMove[]): void {
  for (const move of moves) {
    if (move.how === 'dissolved') continue;
    const taken = moves.find(({ from }) => sameSource(from.source, move.to.source));
    if (taken === undefined) continue;
    throw new TypeError(`${describeSource(move.to.source)} is both where an image is and where one goes`);
  }
}

function lossOf(
  snapshot: SnapshotXml,
  image: SnapshotImage,
  moveOf: (image: SnapshotImage) => ImageMove | undefined,
): LossReason | undefined {
  const move = moveOf(image);
  if (move === undefined) return isLeftBranch(snapshot, image, moveOf) ? 'branch' : undefined;
  if (move.how === 'dissolved') return 'dissolved';
  if (image.named === 'overlay') return undefined;
  const mode = snapshot.modeOf(image.target);
  if (mode === 'manual') return 'manual';
  switch (move.how) {
    case 'bytes':
      return undefined;
    case 'contents':
      // Old metadata that says nothing of the disk is of a time when all snapshots were internal.
      return mode === 'internal' || mode === undefined ? 'internal' : undefined;
    default:
      return unreachable(move);
  }
}

/**
 * An overlay that stays while what it stands on goes: its header names the old image, so the metadata must too.
 * The other way round is a shallow move, where the overlay goes and names what it stands on in its own new header.
 */
function isLeftBranch(
  snapshot: SnapshotXml,
  image: SnapshotImage,
  moveOf: (image: SnapshotImage) => ImageMove | undefined,
): boolean {
  if (image.named !== 'overlay') return false;
  const others = snapshot.images().filter(({ target }) => target === image.target);
  return others.some((other) => other.named !== 'overlay' && moveOf(other) !== undefined);
}

function distinct(losses: readonly Loss[]): Loss[] {
  return [...new Map(losses.map((loss) => [JSON.stringify(loss), loss])).values()];
}

/**
 * Snapshots with every parent before its children, otherwise in the order given. A parent that is not among them, or a
 * circle, does not matter: libvirt says what it thinks of it.
 */
export function parentsFirst<T extends { readonly name: string; readonly parent: string | undefined }>(
  snapshots: readonly T[],
): T[] {
  const byName = new Map(snapshots.map((one) => [one.name, one]));
  const ordered = new Set<T>();
  for (const one of snapshots) {
    const line = new Set<T>();
    for (let at: T | undefined = one; at !== undefined && !ordered.has(at) && !line.has(at); ) {
      line.add(at);
      at = at.parent === undefined ? undefined : byName.get(at.parent);
    }
    for (const each of [...line].reverse()) ordered.add(each);
  }
  return [...ordered];
}
