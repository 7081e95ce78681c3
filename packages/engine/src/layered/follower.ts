// Somebody who follows the copies of frozen layers while they are made: a backup that sums them.
import type { CopyFollower, LayerPlan } from '../layers/index.ts';
import type { Layer } from '../model/record.ts';

/** @param layerOf what the record says of a plan; undefined for no plan of this move */
export type FollowLayers = (layerOf: (plan: LayerPlan) => Layer | undefined) => CopyFollower;
