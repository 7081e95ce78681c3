// What is compared with what, as it was asked for, and what came of it.
import type { Bytes, BytesPerSecond, Millis } from '../model/units.ts';

/** One of the two chains. */
export type ChainName =
  /** A path, `pool:NAME/VOLUME`, or a URI that QEMU knows. */
  | { readonly kind: 'image'; readonly name: string; readonly format?: string }
  /** The disk of a domain; of one that runs and may write to it, what is below the active image. */
  | { readonly kind: 'disk'; readonly domain: string; readonly disk: string };

export interface VerifyRequest {
  readonly a: ChainName;
  readonly b: ChainName;
}

export interface VerifiedChain {
  /** For people: the path or URI of its top image. */
  readonly path: string;
  readonly format: string;
  /** Bytes that a guest sees of it. */
  readonly size: Bytes;
  /** Top first. */
  readonly images: readonly { readonly path: string; readonly format: string }[];
}

/** What a chain holds at an offset. */
export type Holder =
  /** `depth`: how far down the chain, 0 being the top. */
  | { readonly kind: 'image'; readonly path: string; readonly depth: number }
  /** No image of it: it reads as zeros. */
  | { readonly kind: 'nothing' }
  /** It is shorter than that. */
  | { readonly kind: 'end' };

export interface Difference {
  /** The first sector of 512 bytes that differs: bytes of the guest's view. */
  readonly offset: Bytes;
  readonly a: Holder;
  readonly b: Holder;
}

export interface Verified {
  readonly a: VerifiedChain;
  readonly b: VerifiedChain;
  /** Undefined: they show a guest the same. */
  readonly difference: Difference | undefined;
  readonly durationMs: Millis;
}

export type VerifyReport =
  | {
      readonly type: 'progress';
      /** Bytes of the guest's view. */
      readonly compared: Bytes;
      readonly total: Bytes;
      readonly rate: BytesPerSecond | undefined;
      readonly etaMs: Millis | undefined;
    }
  | { readonly type: 'warning'; readonly code: string; readonly message: string };
