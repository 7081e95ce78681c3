// What an operator asks for who wants a chain shortened, before anything of it has been looked at.
import type { BytesPerSecond } from '../model/units.ts';

export interface ShortenRequest {
  /** Name or UUID. */
  readonly domain: string;
  /** Target dev (`vda`), or the path of the disk's active image. */
  readonly disk: string;
  readonly how: Commit | Pull;
  readonly bandwidth?: BytesPerSecond;
  /** The images that leave the chain are deleted, if nobody uses them. */
  readonly deleteSource: boolean;
  readonly keepRelative: boolean;
  /** Stop when ready, before the switch; commit of the active image only. */
  readonly hold: boolean;
}

/** The data of `top` and of what is below it goes down into `base`. */
export interface Commit {
  readonly kind: 'commit';
  /** An image of the chain, by its path or as `vda[N]`; by default the active one. */
  readonly top?: string;
  /** By default the last of the chain; with `shallow` the one below `top`. */
  readonly base?: string;
  readonly shallow: boolean;
}

/** The data of what is below the active image goes up into it. */
export interface Pull {
  readonly kind: 'pull';
  /** What stays below it; by default nothing. */
  readonly base?: string;
}
