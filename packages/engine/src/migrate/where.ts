// Where a domain of a migration is now, for the last word on it.
import { newMigrationMemory } from './memory.ts';
import { observeMigration } from './observe.ts';
import type { Pair } from './pair.ts';
import type { MigrationRecord } from './record.ts';
import type { AtHome, Away } from './world.ts';

export interface Whereabouts {
  readonly home: AtHome;
  readonly away: Away;
  /** Undefined: no record of it stands any more. */
  readonly record: MigrationRecord | undefined;
}

/** @throws ConnectionClosed, LibvirtError, HostError, RecordUnreadable */
export async function whereIs(pair: Pair, known: MigrationRecord): Promise<Whereabouts> {
  const { world, stored } = await observeMigration(pair, known, newMigrationMemory());
  return { home: world.home, away: world.away, record: stored };
}
