// Job mode `undefine`: makes a running persistent domain transient, as the first users of block copy had to.
import { DomainUndefineFlags, DomainXmlFlags } from '@blockferry/libvirt';
import { writeJournal } from '../record/journal.ts';
import { journalPlace } from '../run/context.ts';
import type { Scene } from './act.ts';
import { definitionsOf } from './scene-domain.ts';

/**
 * Keeps the persistent definition (with its secrets) and the autostart mark in the journal, then undefines.
 * NVRAM stays. A crash between the two leaves the domain persistent and the journal with a copy: done again.
 */
export async function undefine(scene: Scene): Promise<void> {
  const { context, move, observation } = scene;
  const { domain } = definitionsOf(scene);
  const xml = await domain.getXmlDesc(DomainXmlFlags.INACTIVE | DomainXmlFlags.SECURE);
  // Undefined before, and come back by itself: see close.ts.
  const autostart = observation.saved?.autostart || (await domain.getAutostart());
  const definition = { xml, autostart };
  const place = journalPlace(context, move);
  const beside = place.host === context.host ? place.path : undefined;
  await context.openMoves.note(move, context.link.uri ?? '', beside, definition);
  await writeJournal(place, { ...observation.journal, record: move, definition });
  await domain.undefine(DomainUndefineFlags.KEEP_NVRAM);
}
