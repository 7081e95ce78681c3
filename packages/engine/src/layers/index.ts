// The copier of frozen layers: images that nobody writes to, copied outside the guest's QEMU.
export type { CopyFollower, FollowedLayer, WindowRead } from './copy-follower.ts';
export { type CopyState as LayerCopyState, copyState } from './copy-state.ts';
export {
  CopierDied,
  JournalForeign,
  LayerDiffers,
  LayerFailed,
  LayerInUse,
  type Side,
  SourceChanged,
} from './errors.ts';
export { LayerCopy, type LayerCopyOptions } from './layer-copy.ts';
export { copyJournalPath, destinationOfCopyJournal, type LayerPlan } from './layer-plan.ts';
export { changedSinceLeft, noteLeft, type Standing, standingOf } from './left-copy.ts';
export type { CopyProgress } from './progress.ts';
export { type Link, linksOf, relink } from './relink.ts';
export { DEFAULT_WINDOW_BYTES, MOST_WINDOWS_AT_RISK } from './windows.ts';
