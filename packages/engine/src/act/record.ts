// Writes what is intended to every place of the record, before the step that it describes.
import { isHang } from '../observe/hang.ts';
import { writeJournal } from '../record/journal.ts';
import { writeMetadata } from '../record/metadata.ts';
import { journalPlace } from '../run/context.ts';
import type { Scene } from './act.ts';

/** May be repeated: nothing of the phase happens before every place shows it, so their order does not matter. */
export async function record(scene: Scene): Promise<void> {
  const { move, observation } = scene;
  const { definitions } = observation;
  const places = definitions && { live: definitions.running, config: definitions.persistent };
  await Promise.all([
    recordBeside(scene),
    definitions && places && writeMetadata(definitions.domain, move, places),
  ]);
}

async function recordBeside(scene: Scene): Promise<void> {
  const { context, observation, move, memory } = scene;
  const place = journalPlace(context, move);
  const { journal, saved } = observation;
  if (journal === undefined) {
    const beside = place.host === context.host ? place.path : undefined;
    await context.openMoves.note(move, context.link.uri ?? '', beside, saved);
  }
  const claimed = journal?.claimed ?? memory.claimed;
  try {
    await writeJournal(place, { ...journal, record: move, ...(claimed && { claimed }) });
    memory.journalStuck = false;
  } catch (error) {
    // The domain's metadata carries the move as well, and going back must not wait for storage that hangs.
    if (!isHang(error)) throw error;
    memory.journalStuck = true;
    scene.warn(
      'journal-stuck',
      `the journal ${place.path} could not be written: its storage does not answer`,
    );
  }
}
