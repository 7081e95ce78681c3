// Writes what is intended to every place of the record, before the step that it describes.

import { isHang } from '../observe/hang.ts';
import { writeJournal } from '../record/journal.ts';
import { writeMetadata } from '../record/metadata.ts';
import { journalPlace } from '../run/context.ts';
import type { Scene } from './act.ts';

/** Journal first: it is the one that names the move when the domain is gone. May be repeated. */
export async function record(scene: Scene): Promise<void> {
  const { context, observation, move } = scene;
  const place = journalPlace(context, move);
  const { journal, definitions } = observation;
  if (journal === undefined) {
    const beside = place.host === context.host ? place.path : undefined;
    await context.openMoves.note(move, context.link.uri ?? '', beside);
  }
  const claimed = journal?.claimed ?? scene.memory.claimed;
  try {
    await writeJournal(place, { ...journal, record: move, ...(claimed && { claimed }) });
    scene.memory.journalStuck = false;
  } catch (error) {
    // The domain's metadata carries the move as well, and going back must not wait for storage that hangs.
    if (!isHang(error)) throw error;
    scene.memory.journalStuck = true;
    scene.warn(
      'journal-stuck',
      `the journal ${place.path} could not be written: its storage does not answer`,
    );
  }
  if (definitions === undefined) return;
  await writeMetadata(definitions.domain, move, {
    live: definitions.running,
    config: definitions.persistent,
  });
}
