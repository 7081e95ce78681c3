// The record of a move: what is intended, which files are ours, and the phase that was intended last.
// It travels in the domain's own metadata and in the journal beside the destination.
import type { DiskSource } from '@blockferry/libvirt';
import type { GuardBound } from './guard-bound.ts';
import type { Bytes, BytesPerSecond } from './units.ts';

/** What the move copies: the active image alone, the chain made into one image, or every image of the chain. */
export type Scope = 'shallow' | 'flatten' | 'chain';

/**
 * The phase intended last. It is written before the first step that belongs to it.
 *
 * - `copying`:  entry: preflight passed. Exit: the mirror is ready. On failure: back to the source.
 * - `pivoting`: entry: mirror ready, destination answers. Exit: live disk is the destination, or still the
 *   source with the job gone. The one phase in which, after QEMU died, only the two images tell which is newer.
 * - `settling`: entry: the live disk *is* the destination. Exit: the persistent definition agrees, record gone.
 * - `undoing`:  entry: abort was asked for, or the copy failed. Exit: no job, our copy removed, record gone.
 * - `canceled`: entry: the reply to a cancel at ready arrived, so the kept copy is complete. Exit: record gone.
 *
 * Strategy `layered` has more places for the guest to be, and so more phases:
 *
 * - `freezing`:   entry: preflight passed. Exit: the guest is on the overlay.
 * - `copying`:    entry: the guest is on the overlay. Exit: every copy is complete, and the mirror to the carrier ready.
 * - `pivoting`:   as above, from the overlay to the carrier.
 * - `collapsing`: entry: the guest *is* on the carrier. Exit: the commit of the carrier is ready.
 * - `landing`:    entry: that commit is ready. Exit: the guest is on the destination. As doubtful as `pivoting`.
 * - `returning`:  entry: undoing, and the commit of the overlay is ready. Exit: the guest is on the origin. As doubtful.
 *
 * A copy (goals `copy` and `keep`) goes by `freezing`, `copying`, `undoing` and `returning`.
 */
export type Phase =
  | 'freezing'
  | 'copying'
  | 'pivoting'
  | 'collapsing'
  | 'landing'
  | 'settling'
  | 'undoing'
  | 'returning'
  | 'canceled';

/**
 * What the operator wants of it: switch when ready, stop at ready, go back, or stop and keep the copy.
 *
 * With strategy `layered`, `copy`: the copies are what is wanted, and the guest is to end where it was; it becomes `keep`
 * when every copy is complete, and from then on they stay, whatever happens.
 */
export type Goal = 'pivot' | 'hold' | 'abort' | 'keep' | 'copy';

/** Are the guest's file systems to be frozen through its agent for the instant of the copy? `auto`: if there is one. */
export type Quiesce = 'auto' | 'require' | 'off';

/** What a copy intends besides, and what is known of it. */
export interface CopyPart {
  readonly quiesce: Quiesce;
  /** Written before the guest's file systems are frozen, and taken out when they were thawed. */
  readonly quiescing?: true;
  /** They were frozen at the instant of the copy; in the record of the disk whose step it was. */
  readonly quiesced?: true;
  /** Since every copy is complete: bytes that were copied, and of these read back and compared. */
  readonly done?: { readonly copied: Bytes; readonly verified: Bytes };
}

/** How a persistent domain's copy is started; see `jobMode` in preflight. */
export type JobMode =
  /** The domain is transient anyway. */
  | 'plain'
  /** VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB (libvirt 3.5 and later). */
  | 'transient-job'
  /** Older daemons: keep the definition aside, undefine, copy, pivot, define again. */
  | 'undefine';

/** An image as the record names it: where it is and its declared format. */
export interface ImageRef {
  readonly source: DiskSource;
  readonly format: string;
}

/** Who made the destination, and so who may remove it. */
export type Ownership =
  /**
   * A file that did not exist before; ours to remove until the pivot. `pool`: it stands in the directory of this pool of
   * libvirt's, which is told at the end.
   */
  | { readonly kind: 'created'; readonly pool?: string }
  /** A volume that we made in a libvirt pool; ours to remove through libvirt. */
  | {
      readonly kind: 'volume';
      readonly pool: string;
      readonly volume: string;
      readonly capacity: Bytes;
      readonly backing?: { readonly path: string; readonly format: string };
      /** Written just before we make it, where there was none: without it, a volume of that name is not ours. */
      readonly claimed?: true;
    }
  /** An RBD image that we made; ours to remove until the pivot. */
  | {
      readonly kind: 'rbd-image';
      readonly capacity: Bytes;
      /** As for a volume. */
      readonly claimed?: true;
    }
  /** Existed before (block device, NBD export, --reuse-external): never removed. */
  | { readonly kind: 'reused' };

export interface CopyOptions {
  readonly bandwidth?: BytesPerSecond;
  /** Bytes; a power of two. */
  readonly granularity?: number;
  readonly bufSize?: Bytes;
  readonly synchronousWrites: boolean;
  /** Start again with synchronous writes if the guest writes faster than the mirror copies. */
  readonly converge: boolean;
  readonly deleteSource: boolean;
}

/** A frozen image and its copy. */
export interface Layer {
  readonly from: ImageRef;
  readonly to: ImageRef;
  /** Byte for byte, or what a guest would read of `from` and everything below it. */
  readonly how: 'bytes' | 'contents';
  /** Contents as compressed clusters. */
  readonly compressed?: true;
  /** What the header of the copy says of its backing file; undefined: it has none. */
  readonly backing?: { readonly reference: string; readonly format: string };
}

/** What strategy `layered` intends besides. */
export interface LayeredPart {
  /** Top first. The first copy is the move's destination. */
  readonly layers: readonly [Layer, ...Layer[]];
  /** Copies below these that were there before, of the images below: another domain's move brought them. */
  readonly shared?: readonly ImageRef[];
  /** Takes the guest's writes on the source side while the layers below are copied. */
  readonly overlay: ImageRef;
  /** The overlays that were frozen since, as they had grown too large for a mirror; oldest first. */
  readonly rounds?: readonly Layer[];
  /** The overlay that the guest goes to next: intended, and not seen to have happened. */
  readonly next?: ImageRef;
  /** The overlay's counterpart over the copies, until it is committed into the top one. */
  readonly carrier: ImageRef;
  readonly verify: boolean;
  /** How slow the guest's writes may become; undefined: that is not looked at. */
  readonly guard?: GuardBound;
}

/**
 * What strategies `commit` and `pull` intend: the chain becomes shorter, and shows the guest the same. The images that
 * leave it are the move's `sources`. `commit`: the data of the first of them (`origin`) and of those below goes into the
 * image under them (`destination`). `pull`: theirs goes up into the active image (`destination`).
 */
export interface ShortenPart {
  /** As it was, top first. */
  readonly chain: readonly ImageRef[];
  /** Where a header names what is below it relatively, it goes on to do so. */
  readonly keepRelative: boolean;
}

/** What slows the guest's writes to a disk, for the time in which its overlay is committed back. */
export interface Brake {
  /** Each leaves a quarter of what the guest may write. */
  readonly level: number;
  /** Write requests a second, of the guest as it was. */
  readonly rate: bigint;
  /** The limits of requests that the disk had, by libvirt's names: they come back. */
  readonly before: Readonly<Record<string, bigint>>;
}

/** The disks of one domain that move as one: each has a record of its own, with this in it. */
export interface GroupPart {
  readonly id: string;
  /** Target devs, in the order in which they are switched. */
  readonly disks: readonly string[];
  /** The guest is paused while they are switched. */
  readonly pause: boolean;
  /**
   * Only in the first disk's record, from before we pause the guest until it runs again: libvirt's id of the domain, which
   * is another after each start. A guest that stands still then does so by us.
   */
  readonly paused?: number;
}

export interface MoveRecord {
  readonly version: 1;
  /** Random, names the move in the record, the journal and on screen. */
  readonly id: string;
  readonly domain: { readonly name: string; readonly uuid: string };
  /** The disk's target dev, such as `vda`. */
  readonly disk: string;
  readonly strategy: 'mirror' | 'layered' | 'commit' | 'pull';
  /** It was begun over a connection that gives a way to run tools on the host. */
  readonly tools?: true;
  /** With strategy `layered`, and only then. */
  readonly layered?: LayeredPart;
  /** With strategies `commit` and `pull`, and only then. */
  readonly shorten?: ShortenPart;
  /** Moves together with other disks; strategy `layered` only. */
  readonly group?: GroupPart;
  /** It is a copy: the guest ends on its source, and what stays is the destination; strategy `layered` only. */
  readonly copy?: CopyPart;
  /** From before the guest is slowed until it is not any more. */
  readonly brake?: Brake;
  readonly scope: Scope;
  readonly origin: ImageRef;
  readonly destination: ImageRef;
  readonly ownership: Ownership;
  /** Images that the guest no longer needs once it runs on the destination: kept, unless --delete-source. */
  readonly sources: readonly ImageRef[];
  /** Images of the chain whose format no header declares, as the domain's definition has them; undefined: none. */
  readonly undeclared?: readonly ImageRef[];
  readonly jobMode: JobMode;
  readonly options: CopyOptions;
  /** The `<disk>` element given to libvirt, whole: made once in preflight, so a resume starts the same copy. */
  readonly destinationXml: string;
  readonly phase: Phase;
  readonly goal: Goal;
  /** Grows with each write: where the places of the record disagree, the highest is what was intended last. */
  readonly revision?: number;
  /** Why `goal` became `abort`, when it was not the operator's wish. */
  readonly reason?: string;
  /** The operator's answer to "which side is the truth?" (see decide). */
  readonly use?: 'source' | 'destination';
}

/** The record that was written last: a place may have been behind, or have come back from before. */
export function newest(found: readonly (MoveRecord | undefined)[]): MoveRecord | undefined {
  const revisionOf = (record: MoveRecord | undefined) => record?.revision ?? 0;
  const records = found.filter((record) => record !== undefined);
  return records.reduce<MoveRecord | undefined>(
    (best, record) => (best === undefined || revisionOf(record) > revisionOf(best) ? record : best),
    undefined,
  );
}

/**
 * May the record be marked as one of the QEMU that runs now? Until the order to pivot always; from then on only if it
 * was: another QEMU was started from the source, and must not be taken for the one that was told to pivot.
 */
export function mayMark(stored: Pick<MoveRecord, 'phase'>, sameInstance: boolean): boolean {
  return sameInstance || !mayHavePivoted(stored);
}

/** Phases in which the guest may be on the image it was to be switched to, or proved to be. */
export function mayHavePivoted({ phase }: Pick<MoveRecord, 'phase'>): boolean {
  return phase === 'settling' || isSwitching(phase);
}

/** A switch was ordered, and its success was not seen. */
export function isSwitching(phase: Phase): boolean {
  return phase === 'pivoting' || phase === 'landing' || phase === 'returning';
}
