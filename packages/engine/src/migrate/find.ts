// Finds migrations that have not ended: in the metadata of domains on this host, and by our own notes.
import type { Connection, Domain } from '@blockferry/libvirt';
import { readDefinitions } from '../observe/definitions.ts';
import { ofEveryDomain } from '../observe/every-domain.ts';
import type { MigrationNote } from '../record/open-moves.ts';
import type { Context } from '../run/context.ts';
import type { MigrationRecord } from './record.ts';
import { newest, recordIn } from './store.ts';

/** A note has no record: that stands in the journal at the destination, and on the other host. */
export type FoundMigration =
  | { readonly kind: 'record'; readonly record: MigrationRecord }
  | { readonly kind: 'note'; readonly note: MigrationNote };

/**
 * @param name name or UUID, or with `ids` the id that the domain has on this host; undefined: of all domains
 */
export async function findMigrations(
  context: Context,
  name?: string,
  { ids = true }: { readonly ids?: boolean } = {},
): Promise<FoundMigration[]> {
  const connection = await context.link.connection();
  const found: FoundMigration[] = [];
  const known = new Set<string>();
  const domains = await domainsCalled(connection, name, ids);
  for (const record of await ofEveryDomain(connection, (one) => recordOf(connection, one), domains)) {
    if (record === undefined) continue;
    known.add(record.domain.uuid);
    found.push({ kind: 'record', record });
  }
  for (const note of await notedMigrations(context, name)) {
    if (!known.has(note.domain.uuid)) found.push({ kind: 'note', note });
  }
  return found;
}

/** By our notes alone: those from or to the host of this connection. They may have ended, from another machine. */
export async function notedMigrations(
  { openMoves, link }: Pick<Context, 'openMoves' | 'link'>,
  name?: string,
): Promise<MigrationNote[]> {
  const notes = await openMoves.migrations(name);
  return notes.filter(({ home, away }) => home === link.uri || away === link.uri);
}

async function domainsCalled(
  connection: Connection,
  name: string | undefined,
  ids: boolean,
): Promise<readonly Domain[]> {
  const all = await connection.listAllDomains();
  if (name === undefined) return all;
  const called = all.filter((domain) => domain.name === name || domain.uuid === name.toLowerCase());
  return called.length > 0 || !ids ? called : all.filter(({ id }) => id > 0 && String(id) === name);
}

async function recordOf(connection: Connection, { uuid }: Domain): Promise<MigrationRecord | undefined> {
  const definitions = await readDefinitions(connection, uuid);
  return newest([definitions?.live, definitions?.config].map(recordIn));
}
