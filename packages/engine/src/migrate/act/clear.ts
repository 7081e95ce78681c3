// Removes what the migration made and nobody uses any more, and its record.
import { mustBeUnused } from '../../layered/act/clear.ts';
import { claimOf, isSomething } from '../../layered/claims.ts';
import { copyJournalPath } from '../../layers/index.ts';
import { readUsage, usesOf } from '../../observe/usage.ts';
import { noteLeftImages } from '../left-images.ts';
import { copiesOf, type MigrationRecord, pathOf } from '../record.ts';
import { removeStates } from '../state.ts';
import { journalPath, removeMetadata, wishPath } from '../store.ts';
import { removeWay } from '../way.ts';
import type { MigrationScene } from './scene.ts';

/** The overlays at home. @throws StepFailed when any definition there refers to one of them */
export async function clearHome({ pair, record }: MigrationScene): Promise<void> {
  const overlays = record.disks.map(({ overlay }) => overlay.home);
  await mustBeUnused({ context: pair.home }, overlays);
  for (const overlay of overlays) await pair.home.host.unlink(pathOf(overlay));
}

/**
 * The overlays at the destination, or the copies too. A copy that another domain stands on by now stays, with its journal.
 *
 * @throws StepFailed when a definition refers to an overlay
 */
export async function clearAway(scene: MigrationScene, what: 'overlays' | 'everything'): Promise<void> {
  const { pair, record, observation } = scene;
  const { host, link } = pair.away;
  const overlays = record.disks.map(({ overlay }) => overlay.away);
  await mustBeUnused({ context: pair.away }, overlays);
  for (const overlay of overlays) await host.unlink(pathOf(overlay));
  if (what === 'overlays') return;
  const copies = copiesOf(record);
  const sources = copies.map(({ source }) => source);
  const usage = await readUsage(await link.connection(), host, sources);
  for (const copy of copies) {
    if (!isSomething(await claimOf(pair.away, copy, observation.journal))) continue;
    if (usesOf(usage, copy.source).length > 0) continue;
    // First: what tells the next who looks that something is left to remove are the images.
    await host.unlink(copyJournalPath(pathOf(copy)));
    await host.unlink(pathOf(copy));
  }
  await removeStates(pair.away, record, observation.journal, scene.signal);
}

/**
 * The record goes, the journal last but for the note that leads to it. By their journals, copies of bases that other
 * domains at home share are found again by the migrations of those. May be repeated.
 */
export async function close(scene: MigrationScene, migrated: boolean): Promise<void> {
  const { pair, record, observation, memory } = scene;
  const { home, away } = observation;
  if (home !== undefined) await removeMetadata(home.domain, home);
  if (away !== undefined && observation.world.away !== 'foreign') await removeMetadata(away.domain, away);
  if (migrated) for (const path of await uselessJournals(pair, record)) await pair.away.host.unlink(path);
  if (migrated) memory.left = await noteLeftImages(pair, record);
  await removeWay(pair.home.host, pair.away.host, record.id);
  await pair.away.host.unlink(wishPath(record));
  await pair.away.host.unlink(journalPath(record));
  await pair.home.openMoves.forgetMigration(record.domain.uuid);
}

async function uselessJournals(
  { home }: MigrationScene['pair'],
  record: MigrationRecord,
): Promise<readonly string[]> {
  const layers = record.disks.flatMap((disk) => [...disk.layers, ...disk.shared]);
  const sources = layers.map(({ from }) => from.source);
  const usage = await readUsage(await home.link.connection(), home.host, sources);
  const isShared = (at: number) => {
    const source = sources[at];
    return source !== undefined && usesOf(usage, source).some(({ uuid }) => uuid !== record.domain.uuid);
  };
  return layers.filter((_, at) => !isShared(at)).map(({ to }) => copyJournalPath(pathOf(to)));
}
