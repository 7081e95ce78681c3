// A backup from its preflight, or from where it stands, to its end: what the verbs and other programs call.
import { FileError, type Host, quoteArgument } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import { readDefinitions } from '../observe/definitions.ts';
import { mustHaveDirectory } from '../preflight/look.ts';
import type { Context } from '../run/context.ts';
import { openBackup } from './begin-backup.ts';
import { abandonBackup } from './change-backup.ts';
import { directoryLockPath, withDirectoryLock } from './lock.ts';
import type { BackupRecord } from './model.ts';
import { DIRECTORY_MODE } from './prepare.ts';
import { openBackupOf, readBackupJournal, writeBackupRecord } from './record.ts';
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

/** Goes on with a backup. @throws Refusal `backup-at-work`, `no-backup-directory` */
export async function continueBackup(
  context: Context,
  host: Host,
  record: BackupRecord,
  options: BackupRunOptions,
): Promise<BackupEnded> {
  await mustHaveJournal(context, host, record);
  return withDirectoryLock(host, record.directory, { wait: false, signal: options.signal }, () =>
    runBackup(context, host, record, options),
  );
}

/** Of a backup that is open in the domain: else it has ended, which is seen later. @throws Refusal `no-backup-directory` */
async function mustHaveJournal({ link }: Context, host: Host, record: BackupRecord): Promise<void> {
  const { domain, directory } = record;
  if (await hasJournal(host, record)) return;
  const isThere = (await host.stat(directory)) !== null;
  const definitions = await readDefinitions(await link.connection(), domain.uuid);
  if (isThere && (definitions === undefined || openBackupOf(definitions)?.id !== record.id)) return;
  throw new Refusal(
    'no-backup-directory',
    `${directory}, which the backup of ${domain.name} goes to, ${isThere ? 'has been emptied' : 'does not exist'}`,
    { path: directory },
    `if it is not mounted, or was moved: bring it back; if it is lost, undo the backup: blockferry abort ${quoteArgument(domain.name)}`,
  );
}

async function hasJournal(host: Host, { directory, id }: BackupRecord): Promise<boolean> {
  return (await readBackupJournal(host, directory))?.id === id;
}

/**
 * Undoes a backup; one that another blockferry is at work with is told so, and waited for. Where its directory is gone, or was
 * emptied, it is undone by the record in the domain: the guest goes back to its images.
 *
 * @throws Refusal `no-such-directory` where the one that it was in is gone as well
 */
export async function undoBackup(
  context: Context,
  host: Host,
  record: BackupRecord,
  options: BackupRunOptions,
): Promise<BackupEnded> {
  const isMade = await makePlace(context, host, record);
  await abandonBackup(context, host, record);
  const ended = await withDirectoryLock(
    host,
    record.directory,
    { wait: true, signal: options.signal },
    async () => {
      // It may have written over what we wrote.
      const changed = await abandonBackup(context, host, record);
      return runBackup(context, host, changed, options);
    },
  );
  if (isMade && ended.outcome.kind === 'back') await removePlace(host, record);
  return ended;
}

/** A place for its journal, if there is none. @returns whether the directory was made */
async function makePlace({ link }: Context, host: Host, record: BackupRecord): Promise<boolean> {
  const { directory, domain } = record;
  // In this order: a backup that ends goes from the domain first.
  if (await hasJournal(host, record)) return false;
  const definitions = await readDefinitions(await link.connection(), domain.uuid);
  if (definitions === undefined || openBackupOf(definitions)?.id !== record.id) return false;
  const isGone = (await host.stat(directory)) === null;
  if (isGone) {
    await mustHaveDirectory(host, directory);
    await host.mkdir(directory, { mode: DIRECTORY_MODE });
  }
  await writeBackupRecord(host, definitions, record);
  return isGone;
}

/** What somebody has put there meanwhile stays. */
async function removePlace(host: Host, { directory }: BackupRecord): Promise<void> {
  await host.unlink(directoryLockPath(directory));
  await host.rmdir(directory).catch((error: unknown) => {
    if (!(error instanceof FileError)) throw error;
  });
}
