// From a preflight to a backup under way: its record.

import type { Host } from '@blockferry/qemu';
import { readDefinitions } from '../observe/definitions.ts';
import type { Context } from '../run/context.ts';
import type { BackupRecord } from './model.ts';
import { writeBackupRecord } from './record.ts';

/**
 * Writes the record; from then on the backup can be resumed.
 *
 * @throws FileError, HostError, LibvirtError
 */
export async function openBackup({ link }: Context, host: Host, record: BackupRecord): Promise<void> {
  const definitions = await readDefinitions(await link.connection(), record.domain.uuid);
  await writeBackupRecord(host, definitions, record);
}
