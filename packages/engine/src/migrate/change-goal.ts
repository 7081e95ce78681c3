// Changes what is wanted of an open migration: to take the domain home again.
import { record as write } from './act/record.ts';
import { newMigrationMemory } from './memory.ts';
import { observeMigration } from './observe.ts';
import type { Pair } from './pair.ts';
import type { MigrationRecord } from './record.ts';

/**
 * Writes it to every place of the record that can be written to now; a blockferry that runs this migration reads it there
 * at its next look. Once the domain has been told to run at the destination it changes nothing: that is finished. May be
 * repeated.
 *
 * @returns the record as it now stands
 */
export async function wantHome(pair: Pair, known: MigrationRecord): Promise<MigrationRecord> {
  const memory = newMigrationMemory();
  const observation = await observeMigration(pair, known, memory);
  const before = observation.stored ?? known;
  const record: MigrationRecord = { ...before, goal: 'home', revision: before.revision + 1 };
  const nothing = () => {};
  const signal = new AbortController().signal;
  await write({ pair, observation, record, memory, signal, tell: nothing, ring: nothing, passed: nothing });
  return record;
}
