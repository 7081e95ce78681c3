// What is open of a domain: its moves, and the backup that has not ended, with the copies that it is made of.
import {
  type BackupRecord,
  type Context,
  findAllBackups,
  findAllMoves,
  findBackup,
  findMoves,
  isCopyOf,
  type MoveRecord,
  type RecordUnreadable,
  Refusal,
  togetherWith,
} from '@blockferry/engine';
import { UsageError } from '../arguments/usage-error.ts';
import { ExitCode } from '../exit-code.ts';
import { createBackupView } from '../views/backup-view.ts';
import type { MoveTools } from './commands.ts';
import { answer } from './open-move.ts';
import { runBackupToResult } from './run-backup.ts';
import type { Invocation } from './verb.ts';

export interface Open {
  /** Those that no backup is made of. */
  readonly moves: readonly MoveRecord[];
  readonly backups: readonly BackupRecord[];
  /** Why more may be open. */
  readonly unreadable: readonly RecordUnreadable[];
}

/** @param domain undefined: of every domain. @throws Refusal `no-such-domain` */
export async function findOpen(context: Context, domain: string | undefined): Promise<Open> {
  const { moves: all, unreadable } =
    domain === undefined
      ? await findAllMoves(context)
      : { moves: await findMoves(context, domain), unreadable: [] };
  const backups = await backupsOf(context, domain, all);
  const moves = all.filter((move) => !backups.some((backup) => isCopyOf(backup, move)));
  return { moves, backups, unreadable };
}

async function backupsOf(
  context: Context,
  domain: string | undefined,
  moves: readonly MoveRecord[],
): Promise<readonly BackupRecord[]> {
  if (domain === undefined) return findAllBackups(context);
  try {
    const backup = await findBackup(context, domain);
    return backup === undefined ? [] : [backup];
  } catch (error) {
    // Its moves were found by notes of ours: the domain itself is gone.
    if (error instanceof Refusal && error.code === 'no-such-domain' && moves.length > 0) return [];
    throw error;
  }
}

export function worse(one: ExitCode, other: ExitCode): ExitCode {
  return one > other ? one : other;
}

/** Goes on with each, one after the other; an answer is for the copies that ask. */
export async function resumeBackups(
  { context, signal }: MoveTools,
  backups: readonly BackupRecord[],
  { use, json }: { readonly use: 'source' | 'destination' | undefined; readonly json: boolean },
  { io, uri, afterStep }: Invocation,
): Promise<ExitCode> {
  let worst: ExitCode = ExitCode.DONE;
  for (const backup of backups) {
    if (signal.aborted) break;
    if (use !== undefined) await answerCopies(context, backup, use);
    const view = createBackupView(io, json, uri);
    view.continuing(backup);
    const ended = await runBackupToResult(context, backup, 'continue', { view, signal, afterStep });
    view.backedUp(ended);
    worst = worse(worst, ended.exitCode);
  }
  return worst;
}

async function answerCopies(
  context: Context,
  backup: BackupRecord,
  use: 'source' | 'destination',
): Promise<void> {
  const copies = (await findMoves(context, backup.domain.uuid)).filter((move) => isCopyOf(backup, move));
  for (const moves of togetherWith(copies)) await answer(context, moves, use);
}

/**
 * The backup that an abort of the domain means; undefined: there is none.
 *
 * @throws Refusal `part-of-backup` for one disk of it; UsageError
 */
export async function backupToUndo(
  context: Context,
  domain: string,
  { disk, keep }: { readonly disk: string | undefined; readonly keep: boolean },
): Promise<BackupRecord | undefined> {
  const { moves, backups } = await findOpen(context, domain);
  const [backup] = backups;
  if (backup === undefined || moves.length > 0) return undefined;
  if (keep) throw new UsageError('--keep is for moves: a backup that is not complete is none');
  if (disk === undefined) return backup;
  throw new Refusal(
    'part-of-backup',
    `a backup of ${domain} is under way, of all its disks at one instant`,
    { disk },
    `undo all of it: blockferry abort ${domain}`,
  );
}

export async function undoOpenBackup(
  { context, signal }: MoveTools,
  backup: BackupRecord,
  json: boolean,
  { io, uri, afterStep }: Invocation,
): Promise<ExitCode> {
  const view = createBackupView(io, json, uri);
  view.continuing({ ...backup, goal: 'abort' });
  const ended = await runBackupToResult(context, backup, 'undo', { view, signal, afterStep });
  view.backedUp(ended);
  return ended.exitCode;
}
