// What the rest of the engine uses of this folder.
export { type Carried, carrySnapshots, foreseeSnapshots, type SnapshotScene } from './carry.ts';
export { type Fate, fateOf, type Loss, type LossReason, parentsFirst } from './fate.ts';
export { type ImageMove, movedByMirror } from './image-move.ts';
