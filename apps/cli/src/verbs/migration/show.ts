// Open migrations in what list and status show.
import { type Context, migrationAtWork } from '@blockferry/engine';
import { migrationText, unclearMigrationText } from '../../views/human/migration.ts';
import { migrationLine, unclearMigrationLine } from '../../views/migration-view.ts';
import type { LookTools } from '../commands.ts';
import type { LookedAtMigrations } from './open.ts';

export async function showMigrations(
  context: Context,
  { records, unclear }: LookedAtMigrations,
  show: LookTools['show'],
): Promise<void> {
  for (const record of records) {
    const atWork = await migrationAtWork(context, record);
    show(migrationLine(record, atWork), () => migrationText(record, atWork));
  }
  for (const one of unclear) show(unclearMigrationLine(one), () => unclearMigrationText(one));
}
