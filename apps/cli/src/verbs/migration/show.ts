// Open migrations in what list and status show.
import { migrationText, unclearMigrationText } from '../../views/human/migration.ts';
import { migrationLine, unclearMigrationLine } from '../../views/migration-view.ts';
import type { LookTools } from '../commands.ts';
import type { LookedAtMigrations } from './open.ts';

export function showMigrations({ records, unclear }: LookedAtMigrations, show: LookTools['show']): void {
  for (const record of records) show(migrationLine(record), () => migrationText(record));
  for (const one of unclear) show(unclearMigrationLine(one), () => unclearMigrationText(one));
}
