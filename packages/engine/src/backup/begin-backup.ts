// From a preflight to a backup under way: its record.

import type { Host } from '@blockferry/qemu';
import { readDefinitions } from '../observe/definitions.ts';
import { beginAlone } from '../run/begin-alone.ts';
import type { Context } from '../run/context.ts';
import type { BackupRecord } from './model.ts';
import { writeBackupRecord } from './record.ts';

/**
 * Writes the record; from then on the backup can be resumed.
 *
 * @throws Refusal as `beginAlone` does, with nothing touched; FileError, HostError, LibvirtError
 */
export async function openBackup(
  context: Context,
  host: Host,
  record: BackupRecord,
  signal: AbortSignal,
): Promise<void> {
  const once = async (): Promise<'written'> => {
    const definitions = await readDefinitions(await context.link.connection(), record.domain.uuid);
    await writeBackupRecord(host, definitions, record);
    return 'written';
  };
  await beginAlone(context, { domain: record.domain, disks: 'all' }, signal, {
    once,
    isRecorded: () => true,
  });
}
