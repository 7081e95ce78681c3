// Writes what is intended to every place of the record, before the step that it describes.
import type { Definitions } from '../../observe/definitions.ts';
import type { FileIdentity } from '../../record/journal.ts';
import { Overtaken } from '../errors.ts';
import { journalPath, readJournal, writeJournal, writeMetadata } from '../store.ts';
import type { MigrationScene } from './scene.ts';

/**
 * May be repeated: nothing of the phase happens before every place shows it. The journal first: it leads the others.
 *
 * @throws Overtaken
 */
export async function record(
  scene: MigrationScene,
  files?: Readonly<Record<string, FileIdentity>>,
): Promise<void> {
  const { pair, observation, record: intended } = scene;
  const { domain, home, away } = intended;
  const { journal, world } = observation;
  if (journal === undefined) {
    const note = { domain, home, away, journal: journalPath(intended) };
    await pair.home.openMoves.noteMigration(domain.uuid, note);
  }
  const now = await readJournal(pair, journalPath(intended));
  const overtaken = now?.record.id === intended.id && now.record.revision > (journal?.record.revision ?? -1);
  if (overtaken) throw new Overtaken('the record was changed by another blockferry');
  await writeJournal(pair, { ...journal, record: intended, files: files ?? journal?.files ?? {} });
  // libvirt lets nobody write to the metadata of a domain that it migrates.
  if (world.home !== 'migrating') await writeTo(scene, observation.home);
  if (world.away !== 'foreign' && world.away !== 'incoming') await writeTo(scene, observation.away);
}

async function writeTo(
  { record: intended }: MigrationScene,
  definitions: Definitions | undefined,
): Promise<void> {
  if (definitions !== undefined) await writeMetadata(definitions.domain, intended, definitions);
}
