export { preflightRestore } from './preflight-restore.ts';
export {
  findRestoreRemains,
  finishedBefore,
  type RestoreRemains,
  removeRestoreRemains,
} from './remains.ts';
export type {
  RestoreAs,
  Restored,
  RestoredDisk,
  RestoreOptions,
  RestorePlan,
  RestorePreflight,
  RestoreRequest,
  RestoreStep,
  TpmPlan,
} from './request.ts';
export { restore } from './restore.ts';
export { findTrials, removeTrial } from './trial.ts';
