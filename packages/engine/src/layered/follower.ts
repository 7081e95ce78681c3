// Somebody who follows the copies of frozen layers while they grow: a backup that sums them.
import type { LayerDone } from '../layers/index.ts';
import type { Layer } from '../model/record.ts';

/** Must not throw, and holds nothing up. What it is told may be told again. */
export interface CopyFollower {
  /**
   * @param done so much of the layer, from its start on, is copied, on stable storage, and read back where that is wanted;
   *   a copy that is finished has its length, and nobody writes to it until its backing link is rewritten
   */
  grew(layer: Layer, done: LayerDone): void;
}
