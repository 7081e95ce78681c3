// What `observe` saw of a move with strategy `layered`, and the ways its guest goes.
import type { Bytes } from './units.ts';
import type { JobState, World } from './world.ts';

/** The images of a move that the guest may be on. */
export type KnownPlace = 'origin' | 'overlay' | 'carrier' | 'destination';

/** `elsewhere`: an image that the move knows nothing of; `none`: no such definition or no such disk in it. */
export type Place = KnownPlace | 'elsewhere' | 'none';

/**
 * The guest goes from image to image by three block jobs:
 *
 * - `switch`: a shallow mirror, from the overlay to the carrier
 * - `collapse`: an active commit, from the carrier to the destination
 * - `return`: an active commit, from the overlay back to the origin
 */
export type Leg = 'switch' | 'collapse' | 'return';

export const LEGS = {
  switch: { from: 'overlay', to: 'carrier', job: 'copy' },
  collapse: { from: 'carrier', to: 'destination', job: 'active-commit' },
  return: { from: 'overlay', to: 'origin', job: 'active-commit' },
} as const satisfies Record<Leg, { from: KnownPlace; to: KnownPlace; job: string }>;

export type LegJob =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'ours';
      readonly leg: Leg;
      readonly state: JobState;
      readonly cur: Bytes;
      readonly end: Bytes;
    }
  | { readonly kind: 'foreign'; readonly what: string };

/** A file that we make: `claimed` is ours and empty, `ours` has something in it, `foreign` was there and is not ours. */
export type Claim = 'absent' | 'claimed' | 'ours' | 'foreign' | 'unknown';

/**
 * What stands in an overlay that the guest was about to be put on, and is not seen on:
 *
 * - `nothing`: no data, so that it does not matter whether the guest was on it
 * - `writes`: the guest's last writes
 * - `both`: writes of the guest, which wrote to the image below it since, or may have: they cannot be joined
 */
export type Unseen = 'nothing' | 'writes' | 'both';

export interface Growth {
  /** What the guest's overlay holds. */
  readonly overlay: Bytes;
  /** What the overlay before it held when it was frozen; undefined in the first round. */
  readonly before: Bytes | undefined;
  /** As much as a mirror is through with so soon that a round would not pay. */
  readonly small: Bytes;
}

export interface Resized {
  /** What the guest sees. */
  readonly disk: Bytes;
  /** What was told to libvirt: a slice, or all of the device. */
  readonly destination: Bytes;
}

export interface LayeredWorld
  extends Pick<
    World,
    | 'domain'
    | 'persistent'
    | 'recorded'
    | 'sameInstance'
    | 'answers'
    | 'qemuWrites'
    | 'sourceRemains'
    | 'sides'
    | 'failure'
    | 'witnessed'
    | 'starts'
  > {
  /** The leg that this process began last, which `witnessed`, `failure` and `starts` speak of. */
  readonly lastLeg: Leg | undefined;
  /** The domain is off, and its memory was saved when its disk was here: its next start needs this image as it was. */
  readonly savedOn: Place | undefined;
  /** The disk in the live definition; `none` unless the domain runs. */
  readonly live: Place;
  readonly config: Place;
  readonly job: LegJob;
  readonly overlay: Claim;
  readonly carrier: Claim;
  /** Of the overlay that the record names next; `absent` if it names none. */
  readonly next: Claim;
  /** The guest is on that one already; of a domain that is off or gone, what it held last is there. */
  readonly onNext: boolean;
  /** Of the overlay that the guest is to be put on, the first or the next. */
  readonly unseen: Unseen;
  /** How the overlay has grown; undefined: there is to be no further round (off, or with checkpoints). */
  readonly growth: Growth | undefined;
  /** The destination has no room for what the overlay holds, besides what is kept free there. */
  readonly shortOfRoom: boolean;
  /** The destination is no file, so it does not grow, and the disk has another size by now than it holds. */
  readonly resized: Resized | undefined;
  /** The job that failed found the destination full. */
  readonly destinationFull: boolean;
  /** The worst claim of all copies: with one foreign, `foreign`. */
  readonly copyFiles: Claim;
  /** When each of the images that are there was last written to, in ns since the epoch. */
  readonly writtenAt: Readonly<Partial<Record<KnownPlace, bigint>>>;
  /** Any file that we made is there. */
  readonly remains: boolean;
  /** What the journals of the copies say; `stale`: they were made of sources that are not these. */
  readonly copies: 'partial' | 'complete' | 'stale';
  /** The guest writes as fast as the leg's job copies. */
  readonly diverging: boolean;
  /** The guest's file systems were to be frozen, and could not be. */
  readonly quiesceFailed?: string;
  /** The copy of the layers that runs beside the loop, in this process. */
  readonly copying: 'no' | 'running' | { readonly failed: string };
  /** The backing links of the copies were written by this process. */
  readonly relinked: boolean;
  /** This process made the overlay that the guest is to be put on, and nobody has written to it yet. */
  readonly overlayFresh: boolean;
  /** This process made the carrier, and no mirror has written to it yet. */
  readonly carrierFresh: boolean;
}
