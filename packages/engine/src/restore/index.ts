export { isRestoreJournal, readRestoreJournal } from './journal.ts';
export { preflightRestore } from './preflight-restore.ts';
export { finishedBefore, removeUnused } from './remains.ts';
export type {
  RestoreAs,
  Restored,
  RestoredDisk,
  RestoreOptions,
  RestorePlan,
  RestorePreflight,
  RestoreRequest,
  RestoreStep,
} from './request.ts';
export { restore } from './restore.ts';
