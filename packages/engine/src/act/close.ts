// The move has ended: removes the record, the journal last but for the note that leads to it.
import { removeJournal } from '../record/journal.ts';
import { removeMetadata } from '../record/metadata.ts';
import { journalPlace } from '../run/context.ts';
import type { Scene } from './act.ts';

/** May be repeated. A crash on the way leaves the journal, whose phase leads here again. */
export async function close(scene: Scene): Promise<void> {
  const { context, move, observation } = scene;
  const { definitions } = observation;
  if (definitions !== undefined) {
    await removeMetadata(definitions.domain, move.disk, {
      live: definitions.running,
      config: definitions.persistent,
    });
  }
  await removeJournal(journalPlace(context, move));
  await context.openMoves.forget(move);
}
