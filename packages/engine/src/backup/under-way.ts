// A domain of which a backup is under way is not backed up twice, nor migrated.
import { quoteArgument } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import type { Definitions } from '../observe/definitions.ts';
import type { BackupRecord } from './model.ts';
import { openBackupOf } from './record.ts';

export function backupUnderWayRefusal({ domain, directory, point }: BackupRecord): Refusal {
  return new Refusal(
    'backup-under-way',
    `a backup of ${domain.name} to ${directory} has not ended: ${point}`,
    { path: directory },
    `continue it: blockferry resume ${quoteArgument(domain.name)}; or undo it: blockferry abort ${quoteArgument(domain.name)}`,
  );
}

/** @throws Refusal `backup-under-way` */
export function mustNotBackUp(definitions: Pick<Definitions, 'live' | 'config'>): void {
  const open = openBackupOf(definitions);
  if (open !== undefined) throw backupUnderWayRefusal(open);
}
