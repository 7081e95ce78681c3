// Where a domain of a migration is now, for the last word on it: whatever record of it stands.
import { readDefinitions } from '../observe/definitions.ts';
import { awayOf, homeOf } from './observe.ts';
import type { Pair } from './pair.ts';
import type { MigrationRecord } from './record.ts';
import type { AtHome, Away } from './world.ts';

export interface Whereabouts {
  readonly home: AtHome;
  readonly away: Away;
}

/** @throws ConnectionClosed, LibvirtError */
export async function whereIs({ home, away }: Pair, { domain }: MigrationRecord): Promise<Whereabouts> {
  const [here, there] = await Promise.all(
    [home, away].map(async ({ link }) => readDefinitions(await link.connection(), domain.uuid)),
  );
  return { home: await homeOf(here), away: there === undefined ? 'gone' : await awayOf(there) };
}
