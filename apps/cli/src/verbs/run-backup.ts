// Runs a backup to its end, and makes the result of it: shared by backup, resume and abort.
import {
  type BackupEnded,
  type BackupRecord,
  type BackupRunOptions,
  type Context,
  continueBackup,
  makeBackup,
  Refusal,
  undoBackup,
} from '@blockferry/engine';
import type { Host } from '@blockferry/qemu';
import type { ExitCode } from '../exit-code.ts';
import {
  type BackupResult,
  backupNames,
  bareBackupResult,
  goOnHint,
  resultOfBackup,
} from '../outcome/backup-result.ts';
import { explain } from '../outcome/explain.ts';
import { bareResult } from '../outcome/result.ts';
import { openSession } from '../session.ts';
import { interruptible } from '../terminal/interrupt.ts';
import { type BackupView, createBackupView } from '../views/backup-view.ts';
import type { Invocation } from './verb.ts';

export type How = 'make' | 'continue' | 'undo';

type Run = (
  context: Context,
  host: Host,
  record: BackupRecord,
  options: BackupRunOptions,
) => Promise<BackupEnded>;

const RUNS: Readonly<Record<How, Run>> = { make: makeBackup, continue: continueBackup, undo: undoBackup };

export interface RunBackup {
  readonly view: Pick<BackupView, 'report'>;
  readonly signal: AbortSignal;
  readonly afterStep: Invocation['afterStep'];
}

/** Never throws for what becomes of the backup: that is in the result. */
export async function runBackupToResult(
  context: Context,
  record: BackupRecord,
  how: How,
  { view, signal, afterStep }: RunBackup,
): Promise<BackupResult> {
  let recorded = how !== 'make';
  const options: BackupRunOptions = {
    signal,
    report: (report) => {
      if (report.type === 'step') recorded = true;
      view.report(report);
    },
    ...(afterStep && { afterStep: (step) => afterStep(step as Parameters<typeof afterStep>[0]) }),
  };
  try {
    const ended = await RUNS[how](context, toolsOf(context), record, options);
    return resultOfBackup(ended, record.goal === 'abort' || how === 'undo' ? 'abort' : 'backup');
  } catch (error) {
    const { outcome, exitCode, error: words } = explain(error, recorded);
    const hint = recorded && !(error instanceof Refusal) ? goOn(record, words.hint) : words.hint;
    return bareBackupResult(outcome, exitCode, { ...backupNames(record), error: { ...words, hint } });
  }
}

function goOn(record: BackupRecord, hint: string | undefined): string {
  return hint === undefined ? goOnHint(record) : `${hint}\n${goOnHint(record)}`;
}

/** @throws Refusal `no-host` */
export function toolsOf({ host }: Context): Host {
  if (host !== undefined) return host;
  const why = 'backups are kept by tools on the host, and this connection gives no way to run any there';
  throw new Refusal('no-host', why, {}, 'use a connection over ssh, or run it on that host');
}

export interface BackupTools {
  readonly context: Context;
  readonly host: Host;
  readonly view: BackupView;
  readonly signal: AbortSignal;
}

/** A command about backups: progress, Ctrl-C, and a last word whatever happens. */
export function backupCommand(
  { io, uri }: Invocation,
  json: boolean,
  work: (tools: BackupTools) => Promise<ExitCode>,
): Promise<ExitCode> {
  const view = createBackupView(io, json, uri);
  return interruptible(
    async (signal) => {
      try {
        await using session = openSession(uri);
        const { context } = session;
        return await work({ context, host: toolsOf(context), view, signal });
      } catch (error) {
        const { outcome, exitCode, error: words } = explain(error);
        view.failed(bareResult(outcome, exitCode, { error: words }));
        return exitCode;
      }
    },
    () => view.stopping(),
  );
}
