// Backups that have not ended: by the metadata of domains, and by the journal in a directory.

import { type Host, quoteArgument } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import { readDefinitions } from '../observe/definitions.ts';
import { ofEveryDomain } from '../observe/every-domain.ts';
import { findDomain } from '../preflight/situation.ts';
import type { Context } from '../run/context.ts';
import { openCopies } from './copies.ts';
import { backupJournalPath } from './layout.ts';
import type { BackupRecord } from './model.ts';
import { newer, openBackupOf, readBackupJournal, removeBackupRecord } from './record.ts';

/**
 * The open backup of a domain. A record in its metadata that no journal knows is of one that has ended, and came back with
 * an old definition: it is forgotten.
 *
 * @param name name or UUID
 * @throws Refusal `no-such-domain`; FileError where its directory cannot be looked at; RecordUnreadable
 */
export async function findBackup(context: Context, name: string): Promise<BackupRecord | undefined> {
  const connection = await context.link.connection();
  const { uuid } = await findDomain(connection, name);
  return openIn(context, uuid);
}

/** Of every domain of the connection. */
export async function findAllBackups(context: Context): Promise<BackupRecord[]> {
  const connection = await context.link.connection();
  const found = await ofEveryDomain(connection, ({ uuid }) => openIn(context, uuid));
  return found.filter((open) => open !== undefined);
}

/**
 * The open backup into a directory, whosever; undefined also where there is no such directory.
 *
 * @throws Refusal `backup-moved` where its journal came with a directory that was moved or copied: it tells of the files and
 *   of the domain as they were then; FileError, RecordUnreadable
 */
export async function backupInto(host: Host, directory: string): Promise<BackupRecord | undefined> {
  const open = await readBackupJournal(host, directory);
  if (open === undefined || open.directory === directory) return open;
  // Two names of one directory, or a copy of one where the backup is still under way.
  if ((await readBackupJournal(host, open.directory))?.id === open.id) return open;
  const { name } = open.domain;
  const quoted = quoteArgument(name);
  throw new Refusal(
    'backup-moved',
    `${directory} holds the journal of a backup of ${name} that was begun in ${open.directory} and had not ended when it was moved or copied from there`,
    { path: directory, from: open.directory },
    `if blockferry status ${quoted} shows it: move the directory back and blockferry resume ${quoted}, or blockferry abort ${quoted}; when it shows none: rm ${quoteArgument(backupJournalPath(directory))}`,
  );
}

async function openIn(context: Context, uuid: string): Promise<BackupRecord | undefined> {
  const { link, host } = context;
  const definitions = await readDefinitions(await link.connection(), uuid);
  const record = definitions && openBackupOf(definitions);
  if (record === undefined || host === undefined) return record;
  const journal = await readBackupJournal(host, record.directory);
  if (journal?.id === record.id) return newer(record, journal);
  // Its directory may be on storage that is not mounted.
  if ((await host.stat(record.directory)) === null) return record;
  // Somebody has emptied it, and the guest is not back on its images yet.
  if ((await openCopies(context, record)).length > 0) return record;
  await removeBackupRecord(host, definitions, record, 'metadata');
  return undefined;
}
