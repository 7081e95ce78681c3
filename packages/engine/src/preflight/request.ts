// What an operator asks for, before anything of it has been looked at.
import type { GuardBound } from '../model/guard-bound.ts';
import type { CopyOptions, ImageRef, Quiesce, Scope } from '../model/record.ts';

export interface MoveRequest {
  /** Name or UUID. */
  readonly domain: string;
  /** Target dev (`vda`), or the path of the disk's active image. */
  readonly disk: string;
  /** A file, a directory, a block device, `pool:NAME[/VOLUME]`, or a URI that QEMU knows. Not with destinationXml. */
  readonly destination?: string;
  /** A libvirt <disk> element that names the destination. */
  readonly destinationXml?: string;
  readonly scope: Scope;
  readonly strategy: 'auto' | 'mirror' | 'layered';
  /** Read the copies back from their storage and compare; strategy `layered` only. */
  readonly verify: boolean;
  /** How slow the guest's writes may become; undefined: that is not looked at. */
  readonly guard?: GuardBound;
  /** Where the overlay goes that takes the guest's writes meanwhile; by default beside the source. `layered` only. */
  readonly overlayDirectory?: string;
  /** The destination's format; by default the source's. */
  readonly format?: string;
  /** The destination exists and is to be used as it is. */
  readonly reuseExternal: boolean;
  readonly hold: boolean;
  /** Start the copy the way daemons before libvirt 3.5 need it, even if this one does not. */
  readonly undefine: boolean;
  readonly options: CopyOptions;
  /** The disk is to be copied and not moved; strategy `layered`, to files. */
  readonly copy?: CopyAsked;
}

export interface CopyAsked {
  readonly quiesce: Quiesce;
  /** Contents only, to qcow2. */
  readonly compressed: boolean;
  /** The file names of a chain's copies; default: those of the images. */
  readonly nameOf?: NameOf;
}

/** The file name that the copy of an image gets; `depth` images above it are in the chain. */
export type NameOf = (image: ImageRef, disk: string, depth: number) => string;
