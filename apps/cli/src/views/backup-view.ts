// What `backup` and `restore` show, to people or to programs.
import type {
  BackupPreflight,
  BackupRecord,
  BackupReport,
  CheckedPoint,
  Restored,
  RestorePreflight,
} from '@blockferry/engine';
import type { ExitCode } from '../exit-code.ts';
import type { BackupResult } from '../outcome/backup-result.ts';
import type { Result } from '../outcome/result.ts';
import type { Io } from '../terminal/io.ts';
import { addressedIo } from './addressed.ts';
import { HumanBackupView } from './human/backup.ts';
import { JsonBackupView } from './json/backup.ts';

export interface BackupView {
  plan(plan: BackupPreflight): void;
  restorePlan(plan: RestorePreflight): void;
  continuing(record: BackupRecord): void;
  report(report: BackupReport): void;
  stopping(): void;
  backedUp(result: BackupResult): void;
  restored(restored: Restored): void;
  checked(points: readonly CheckedPoint[], exitCode: ExitCode): void;
  /** A command that ended without what it was asked for. */
  failed(result: Result): void;
}

/** @param uri as given with -c, so that advised commands carry it */
export function createBackupView(io: Io, json: boolean, uri: string | undefined): BackupView {
  return json ? new JsonBackupView(io.out, uri) : new HumanBackupView(addressedIo(io, uri));
}
