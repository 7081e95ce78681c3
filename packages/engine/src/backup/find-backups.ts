// Backups that have not ended: by the metadata of domains, and by the journal in a directory.

import type { Host } from '@blockferry/qemu';
import { readDefinitions } from '../observe/definitions.ts';
import { ofEveryDomain } from '../observe/every-domain.ts';
import { findDomain } from '../preflight/situation.ts';
import type { Context } from '../run/context.ts';
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

/** The open backup into a directory, whosever; undefined also where there is no such directory. */
export async function backupInto(host: Host, directory: string): Promise<BackupRecord | undefined> {
  return readBackupJournal(host, directory);
}

async function openIn({ link, host }: Context, uuid: string): Promise<BackupRecord | undefined> {
  const definitions = await readDefinitions(await link.connection(), uuid);
  const record = definitions && openBackupOf(definitions);
  if (record === undefined || host === undefined) return record;
  const journal = await readBackupJournal(host, record.directory);
  if (journal?.id === record.id) return newer(record, journal);
  // Its directory may be on storage that is not mounted.
  if ((await host.stat(record.directory)) === null) return record;
  await removeBackupRecord(host, definitions, record, 'metadata');
  return undefined;
}
