// What the rest of the engine uses of this folder.
export { type Carried, carrySnapshots, foreseeSnapshots, type SnapshotScene } from './carry.ts';
export { type Fate, fateOf, type Loss, type LossReason, parentsFirst } from './fate.ts';
export { forEachSnapshot, forgetSnapshots } from './forget.ts';
export { heldBySnapshots } from './held.ts';
export { type ImageMove, imageMovesOf } from './image-move.ts';
export { settleSnapshots, whyNot } from './settle.ts';
export { snapshotsSpoiled } from './spoiled.ts';
