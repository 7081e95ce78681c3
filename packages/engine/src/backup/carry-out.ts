// A backup from its preflight, or from where it stands, to its end: what the verbs and other programs call.
import type { Host } from '@blockferry/qemu';
import type { Context } from '../run/context.ts';
import { openBackup } from './begin-backup.ts';
import { abandonBackup } from './change-backup.ts';
import { withDirectoryLock } from './lock.ts';
import type { BackupRecord } from './model.ts';
import { DIRECTORY_MODE } from './prepare.ts';
import { type BackupEnded, type BackupRunOptions, runBackup } from './run-backup.ts';

/**
 * Makes the backup that was planned. As `runBackup`, with the directory locked.
 *
 * @throws Refusal `backup-at-work`, and as `beginAlone` does
 */
export async function makeBackup(
  context: Context,
  host: Host,
  record: BackupRecord,
  options: BackupRunOptions,
): Promise<BackupEnded> {
  const { directory } = record;
  if ((await host.stat(directory)) === null) await host.mkdir(directory, { mode: DIRECTORY_MODE });
  return withDirectoryLock(host, directory, { wait: false, signal: options.signal }, async () => {
    await openBackup(context, host, record, options.signal);
    return runBackup(context, host, record, options);
  });
}

/** Goes on with a backup. @throws Refusal `backup-at-work` */
export async function continueBackup(
  context: Context,
  host: Host,
  record: BackupRecord,
  options: BackupRunOptions,
): Promise<BackupEnded> {
  return withDirectoryLock(host, record.directory, { wait: false, signal: options.signal }, () =>
    runBackup(context, host, record, options),
  );
}

/** Undoes a backup; one that another blockferry is at work with is told so, and waited for. */
export async function undoBackup(
  context: Context,
  host: Host,
  record: BackupRecord,
  options: BackupRunOptions,
): Promise<BackupEnded> {
  await abandonBackup(context, host, record);
  return withDirectoryLock(host, record.directory, { wait: true, signal: options.signal }, async () => {
    // It may have written over what we wrote.
    const changed = await abandonBackup(context, host, record);
    return runBackup(context, host, changed, options);
  });
}
