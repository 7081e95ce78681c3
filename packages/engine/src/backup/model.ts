// What a backup is: its points as their manifests tell them, and the record of one that is under way.
import type { GuardBound } from '../model/guard-bound.ts';
import type { Quiesce } from '../model/record.ts';
import type { Bytes, BytesPerSecond } from '../model/units.ts';

/** `full`: every image that is needed stands in the point's own directory. `incremental`: on the point before it. */
export type PointKind = 'full' | 'incremental';

export interface StoredImage {
  /** Relative to the point's directory. */
  readonly path: string;
  /** As libvirt says it: an image that is raw in LUKS is `raw`. */
  readonly format: string;
  /** It is in LUKS: the UUID of libvirt's secret that opens it. */
  readonly secret?: string;
}

export interface StoredDisk {
  /** Target dev, such as `vda`. */
  readonly target: string;
  /** Bytes that the guest saw. */
  readonly capacity: Bytes;
  /** Where the guest had it: for people, and the place where `restore --over` puts it back. */
  readonly source: string;
  /** The format that the active image had. */
  readonly format: string;
  /** Those that this point brought, top first; of an increment one, on the images of the point before it. */
  readonly images: readonly [StoredImage, ...StoredImage[]];
}

export interface StoredFile {
  /** Relative to the point's directory. */
  readonly path: string;
  readonly size: Bytes;
  /** SHA-256, in hexadecimal. */
  readonly sha256: string;
}

/** What a point holds. Written last: a directory without it holds no backup. */
export interface Manifest {
  readonly version: 1;
  readonly id: string;
  /** That of all points of a directory: it is in the names of their checkpoints. */
  readonly set: string;
  readonly point: string;
  readonly kind: PointKind;
  /** Of an increment: the point that its images stand on. */
  readonly parent?: string;
  readonly domain: DomainName;
  /** When the backup was begun; the disks are as they were at one instant soon after. */
  readonly time: string;
  /** The domain ran. */
  readonly running: boolean;
  /** The guest's file systems were frozen through its agent at that instant. */
  readonly quiesced: boolean;
  /** libvirt's checkpoint since which the next increment is counted: of that instant or before. */
  readonly checkpoint?: string;
  readonly disks: readonly StoredDisk[];
  readonly files: readonly StoredFile[];
  /** The firmware's variables, relative to the point's directory. */
  readonly nvram?: string;
  /** The archive (tar) of the TPM's state. */
  readonly tpm?: string;
}

export interface DomainName {
  readonly name: string;
  readonly uuid: string;
}

/**
 * The phase intended last, written before the first step that belongs to it.
 *
 * - `preparing`: entry: preflight passed. Exit: the point's directory holds all that is made beforehand.
 * - `beginning`: entry: the increment is to be ordered. Exit: libvirt shows the job, or there is none and it is made anew.
 * - `copying`:   entry: the job was seen, or the copy of a full pass is to begin. Exit: its success was seen.
 * - `sealing`:   entry: every image of the point is complete. Exit: the manifest stands, old checkpoints and the record
 *   are gone.
 */
export type BackupPhase = 'preparing' | 'beginning' | 'copying' | 'sealing';

export interface BackupDisk extends Omit<StoredDisk, 'images'> {
  readonly images: readonly [StoredImage, ...StoredImage[]];
  /** Of an increment: what the header of its image says of the image below it. */
  readonly backing?: { readonly reference: string; readonly format: string };
}

/** How the images of a full backup are copied; see CopiesRequest. */
export interface CopyingPart {
  /** One image a disk, instead of its whole chain. */
  readonly flatten: boolean;
  /** Of one image: its clusters compressed. */
  readonly compressed: boolean;
  readonly verify: boolean;
  readonly guard?: GuardBound;
  readonly bandwidth?: BytesPerSecond;
  readonly overlayDirectory?: string;
}

/** What is intended with a backup that has not ended: in the domain's metadata, and in a journal in its directory. */
export interface BackupRecord {
  readonly version: 1;
  readonly id: string;
  readonly set: string;
  readonly domain: DomainName;
  /** Absolute. */
  readonly directory: string;
  readonly point: string;
  readonly kind: PointKind;
  readonly time: string;
  /** Of a full one. */
  readonly copying: CopyingPart;
  readonly running: boolean;
  readonly quiesce: Quiesce;
  readonly disks: readonly BackupDisk[];
  /** Of an increment. `checkpoint`: since which it is counted. */
  readonly parent?: { readonly point: string; readonly checkpoint: string };
  /** That we make with this backup. With each new try it gets another name: see `attempt`. */
  readonly checkpoint?: string;
  readonly attempt: number;
  /** Path of the firmware's variables on the host. */
  readonly nvram?: string;
  /** The directory of the TPM's state on the host. */
  readonly tpm?: string;
  /** The guest's file systems may be frozen by us. */
  readonly frozen?: true;
  /** They were, at the instant. */
  readonly quiesced?: true;
  readonly phase: BackupPhase;
  readonly goal: 'finish' | 'abort';
  /** Why `goal` became `abort`, when it was not the operator's wish. */
  readonly reason?: string;
  /** Grows with each write. */
  readonly revision: number;
}
