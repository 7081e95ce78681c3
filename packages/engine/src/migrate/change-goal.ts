// Says what is wanted of an open migration: to take the domain home again.
import { FileError } from '@blockferry/qemu';
import type { Pair } from './pair.ts';
import type { MigrationRecord } from './record.ts';
import { wishPath } from './store.ts';

/**
 * A blockferry that runs this migration finds it at its next look. Once the domain has been told to run at the destination
 * it changes nothing: that is finished. May be repeated.
 *
 * @returns the record as it is wanted
 * @throws FileError, HostError when the destination takes no file: whether the domain runs there is not known then either
 */
export async function wantHome({ away }: Pair, known: MigrationRecord): Promise<MigrationRecord> {
  try {
    await away.host.createExclusive(wishPath(known), { mode: 0o600 });
  } catch (error) {
    if (!(error instanceof FileError) || error.code !== 'EEXIST') throw error;
  }
  return { ...known, goal: 'home' };
}
