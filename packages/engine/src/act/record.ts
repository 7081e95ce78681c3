// Writes what is intended to every place of the record, before the step that it describes.
import { mayMark } from '../model/record.ts';
import type { Seen } from '../observe/seen.ts';
import { writeMetadata } from '../record/metadata.ts';
import { journalPlace } from '../run/context.ts';
import type { Scene } from './act.ts';
import { updateJournal } from './update-journal.ts';

/** May be repeated: nothing of the phase happens before every place shows it, so their order does not matter. */
export async function record(scene: Scene<Seen>): Promise<void> {
  const { move, observation } = scene;
  const { definitions, stored, sameInstance } = observation;
  const mark = mayMark(stored ?? move, sameInstance);
  const places = definitions && { live: definitions.running, config: definitions.persistent, mark };
  await Promise.all([
    recordBeside(scene),
    definitions && places && writeMetadata(definitions.domain, move, places),
  ]);
}

async function recordBeside(scene: Scene<Seen>): Promise<void> {
  const { context, observation, move, memory } = scene;
  const place = journalPlace(context, move);
  const { journal, saved } = observation;
  if (journal === undefined) {
    const beside = place.host === context.host ? place.path : undefined;
    await context.openMoves.note(move, context.link.uri ?? '', beside, saved);
  }
  const claimed = journal?.claimed ?? memory.claimed;
  await updateJournal(scene, { ...journal, ...(claimed && { claimed }) });
}
