// From a preflight to a backup under way: its directory, and its record.

import type { Host } from '@blockferry/qemu';
import { readDefinitions } from '../observe/definitions.ts';
import type { Context } from '../run/context.ts';
import type { BackupRecord } from './model.ts';
import { DIRECTORY_MODE } from './prepare.ts';
import { writeBackupRecord } from './record.ts';

/**
 * Writes the record; from then on the backup can be resumed. An empty directory is all that a crash before that leaves.
 *
 * @throws FileError, HostError, LibvirtError
 */
export async function openBackup({ link }: Context, host: Host, record: BackupRecord): Promise<void> {
  const { directory, domain } = record;
  if ((await host.stat(directory)) === null) await host.mkdir(directory, { mode: DIRECTORY_MODE });
  const definitions = await readDefinitions(await link.connection(), domain.uuid);
  await writeBackupRecord(host, definitions, record);
}
