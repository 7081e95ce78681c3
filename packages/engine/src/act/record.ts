// Writes what is intended to every place of the record, before the step that it describes.
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
  await writeJournal(place, { ...journal, record: move, ...(claimed && { claimed }) });
  if (definitions === undefined) return;
  await writeMetadata(definitions.domain, move, {
    live: definitions.running,
    config: definitions.persistent,
  });
}
