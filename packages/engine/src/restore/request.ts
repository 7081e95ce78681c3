// What is to be restored and as what, and what came of it.
import type { DomainXml } from '@blockferry/libvirt';
import type { PointChain } from '../backup/points.ts';
import type { BackupReport } from '../backup/report.ts';
import type { Bytes, Millis } from '../model/units.ts';
import type { Warning } from '../preflight/warning.ts';

/** What becomes of the point. */
export type RestoreAs =
  /** The domain that it is of, which must be gone. */
  | { readonly kind: 'original' }
  /** The same, in the place of the one that is there, which must be off. */
  | { readonly kind: 'over' }
  /** Another domain: with a UUID and MACs of its own. */
  | { readonly kind: 'new'; readonly name: string };

export interface RestoreRequest {
  /** Of the backups; absolute. */
  readonly directory: string;
  /** Default: the newest. */
  readonly point?: string;
  readonly as: RestoreAs;
  /** Where the images go; absolute. Default: where those of the domain were. */
  readonly to?: string;
}

/** One disk of the point, and the image that it becomes. */
export interface RestoredDisk {
  readonly target: string;
  readonly path: string;
  readonly format: string;
  readonly capacity: Bytes;
  /** It is made in LUKS: UUID of libvirt's secret. */
  readonly secret?: string;
}

/** Where the state of the TPM goes. `directory`: the one that we make, and remove again if need be. */
export type TpmPlan =
  /** There is none yet. */
  | { readonly kind: 'new'; readonly directory: string }
  /** Beside the one that is there, which it replaces when the domain is defined; `kept`: the archive of that. */
  | {
      readonly kind: 'replaced';
      readonly directory: string;
      readonly state: string;
      readonly kept: string;
    };

/** What is intended: in a journal beside the first image, until the domain is defined. */
export interface RestorePlan {
  readonly version: 1;
  readonly id: string;
  readonly directory: string;
  readonly point: string;
  readonly as: RestoreAs;
  /** As it will be called. */
  readonly name: string;
  /** Of the domain as it will be. */
  readonly uuid: string;
  readonly disks: readonly [RestoredDisk, ...RestoredDisk[]];
  readonly nvram?: string;
  readonly tpm?: TpmPlan;
}

export interface RestorePreflight {
  readonly plan: RestorePlan;
  readonly chain: PointChain;
  /** As it will be. */
  readonly definition: DomainXml;
  /** To be read of the point and written. */
  readonly bytes: Bytes;
  /** Images that the domain's definition names until then, and that stay. */
  readonly kept: readonly string[];
  readonly warnings: readonly Warning[];
}

export interface Restored {
  readonly plan: RestorePlan;
  /** Of the domain as it was defined. */
  readonly uuid: string;
  readonly kept: readonly string[];
  readonly bytes: Bytes;
  readonly durationMs: Millis;
}

export interface RestoreOptions {
  readonly signal: AbortSignal;
  readonly report: (report: BackupReport) => void;
  /** Called after each step has been carried out. Tests stop the process there. */
  readonly afterStep?: (step: RestoreStep) => void;
}

export type RestoreStep =
  | 'remove-leftovers'
  | 'check'
  | 'record'
  | 'claim'
  | 'fill'
  | 'compare'
  | 'define'
  | 'place-tpm'
  | 'close';
