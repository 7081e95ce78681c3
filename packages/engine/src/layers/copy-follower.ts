// Somebody who follows copies while they are made, such as a backup that sums them.
import type { LayerPlan } from './layer-plan.ts';

/** Must not throw. */
export interface CopyFollower {
  /** Whether he wants to see this one's windows. */
  follows(plan: LayerPlan, layer: FollowedLayer): boolean;
  /**
   * A window has been read, or is about to be; in the order in which they lie in the layer. One that has to be copied again
   * is not shown again.
   *
   * @returns when it may be forgotten
   */
  read(plan: LayerPlan, window: WindowRead): Promise<void>;
  /** The copy has its length and is on stable storage; nobody writes to it until its backing link is rewritten. */
  finished(plan: LayerPlan): void;
}

export interface FollowedLayer {
  /** Its length in bytes. */
  readonly total: bigint;
  /** An earlier run has done a part of it, which is not shown. */
  readonly isContinued: boolean;
}

/** In bytes. */
export interface WindowRead {
  readonly offset: bigint;
  readonly length: bigint;
  /** A file on the layer's host that holds the window, at this offset; undefined: only the layer does. */
  readonly kept: { readonly path: string; readonly offset: bigint } | undefined;
}
