export { preflightRestore } from './preflight-restore.ts';
export { isRestoreJournal, readRestoreJournal } from './journal.ts';
export { removeUnused } from './remains.ts';
export type {
  RestoreAs,
  RestoredDisk,
  RestoreOptions,
  RestorePlan,
  RestorePreflight,
  RestoreRequest,
  RestoreStep,
  Restored,
} from './request.ts';
export { restore } from './restore.ts';
