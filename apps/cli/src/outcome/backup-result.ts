// How a backup ended, as data: both views show it, and its exit code is the process's.
import { type BackupEnded, type BackupRecord, type PointKind, unreachable } from '@blockferry/engine';
import { quoteArgument } from '@blockferry/qemu';
import { ExitCode } from '../exit-code.ts';
import type { ResultError, ResultOutcome } from './result.ts';

export interface BackupResult {
  readonly outcome: ResultOutcome;
  readonly exitCode: ExitCode;
  readonly domain: string | undefined;
  readonly directory: string | undefined;
  readonly point: string | undefined;
  readonly kind: PointKind | undefined;
  /** Of the point's files. */
  readonly bytes: bigint | undefined;
  readonly quiesced: boolean | undefined;
  /** An increment can follow. */
  readonly checkpoint: string | undefined;
  readonly durationMs: number | undefined;
  readonly error: ResultError | undefined;
}

/** What is known of a backup whatever became of it. */
export function backupNames({ domain, directory, point, kind }: BackupRecord) {
  return { domain: domain.name, directory, point, kind };
}

export function bareBackupResult(
  outcome: ResultOutcome,
  exitCode: ExitCode,
  known: Partial<BackupResult> = {},
): BackupResult {
  return {
    domain: undefined,
    directory: undefined,
    point: undefined,
    kind: undefined,
    bytes: undefined,
    quiesced: undefined,
    checkpoint: undefined,
    durationMs: undefined,
    error: undefined,
    ...known,
    outcome,
    exitCode,
  };
}

/** @param asked what the command was meant to bring about. Pure */
export function resultOfBackup(
  { outcome, record, manifest, durationMs }: BackupEnded,
  asked: 'backup' | 'abort',
): BackupResult {
  const known = { ...backupNames(record), durationMs };
  switch (outcome.kind) {
    case 'done': {
      const bytes = manifest?.files.reduce((sum, { size }) => sum + size, 0n);
      const { quiesced, checkpoint } = manifest ?? {};
      return bareBackupResult('done', ExitCode.DONE, { ...known, bytes, quiesced, checkpoint });
    }
    case 'back': {
      if (asked === 'abort') return bareBackupResult('back', ExitCode.DONE, known);
      const message = outcome.why ?? 'it was undone';
      const error = { code: 'went-back', message, hint: 'nothing of it is left: make the backup again' };
      return bareBackupResult('back', ExitCode.FAILED, { ...known, error });
    }
    case 'stopped': {
      const error = { code: 'stopped', message: 'stopped by the operator', hint: goOnHint(record) };
      return bareBackupResult('stopped', ExitCode.RESUMABLE, { ...known, error });
    }
    default:
      return unreachable(outcome);
  }
}

/** What an operator types about an open backup. */
export function goOnHint(record: BackupRecord): string {
  const { resume, undo } = backupCommands(record);
  return `go on: ${resume}\nundo: ${undo}`;
}

export function backupCommands({ domain }: BackupRecord): Readonly<Record<'resume' | 'undo', string>> {
  const name = quoteArgument(domain.name);
  return { resume: `blockferry resume ${name}`, undo: `blockferry abort ${name}` };
}

/** What a command does with a backup that is open already. */
export function continuingBackupWords({ domain, directory, kind, goal }: BackupRecord): string {
  const verb = goal === 'abort' ? 'undoing' : 'continuing';
  return `${verb} the ${kind} backup of ${domain.name} to ${directory}`;
}
