// Changes what is wanted of a backup under way. Whoever runs it takes notice at its next look.
import type { Host } from '@blockferry/qemu';
import { readDefinitions } from '../observe/definitions.ts';
import { changeGoal } from '../run/change-goal.ts';
import type { Context } from '../run/context.ts';
import { openCopies } from './copies.ts';
import type { BackupRecord } from './model.ts';
import { newer, readBackupJournal, writeBackupRecord } from './record.ts';

/** Writes that it is to go back. @returns the record as it stands then; @throws FileError, HostError, LibvirtError */
export async function abandonBackup(
  context: Context,
  host: Host,
  known: BackupRecord,
): Promise<BackupRecord> {
  const journal = await readBackupJournal(host, known.directory);
  // It has ended meanwhile: what is run now will see that.
  if (journal?.id !== known.id) return known;
  const record = newer(known, journal) ?? known;
  if (record.goal === 'abort') return record;
  const changed = { ...record, goal: 'abort' as const, revision: record.revision + 1 };
  const definitions = await readDefinitions(await context.link.connection(), known.domain.uuid);
  await writeBackupRecord(host, definitions, changed);
  // Whoever runs these looks at nothing else meanwhile.
  for (const move of await openCopies(context, changed)) await changeGoal(context, move, { goal: 'abort' });
  return changed;
}
