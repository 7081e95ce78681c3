export { openBackup } from './begin-backup.ts';
export { type CheckedPoint, checkPoints } from './check-points.ts';
export type { BackupOutcome, BackupStep } from './decide.ts';
export { backupInto, findAllBackups, findBackup } from './find-backups.ts';
export type { BackupPhase, BackupRecord, Manifest, PointKind, Quiesce, StoredDisk } from './model.ts';
export { chainOf, choosePoint, imagesOf, type Point, type PointChain, readPoints } from './points.ts';
export { type BackupPreflight, type BackupRequest, preflightBackup } from './preflight-backup.ts';
export type { BackupReport, Stage, WorkOptions } from './report.ts';
export { type BackupEnded, type BackupRunOptions, runBackup } from './run-backup.ts';
