// Writes the journal, where its storage takes it: going back must not depend on a destination that fails.
import { FileError } from '@blockferry/qemu';
import { messageOf } from '../model/errors.ts';
import { isHang } from '../observe/hang.ts';
import type { Seen } from '../observe/seen.ts';
import { type Journal, writeJournal } from '../record/journal.ts';
import { journalPlace } from '../run/context.ts';
import type { Scene } from './act.ts';

/**
 * Writes the record of the scene's move and `rest` to the journal. Storage that hangs is done without, and so is
 * storage that is full, fails or is gone (somebody removed the directory) while the move goes back or is told to: the
 * domain's metadata carries the record as well. From then on the journal counts as unavailable, until a write succeeds.
 *
 * @throws FileError when the move is still on its way forward
 */
export async function updateJournal(scene: Scene<Seen>, rest: Omit<Journal, 'record'>): Promise<void> {
  const { context, move, memory, warn } = scene;
  const place = journalPlace(context, move);
  try {
    await writeJournal(place, { ...rest, record: move });
    memory.journalStuck = false;
  } catch (error) {
    const goesBack = move.goal === 'abort' || move.phase === 'undoing' || move.phase === 'canceled';
    if (!isHang(error) && !(goesBack && error instanceof FileError)) throw error;
    memory.journalStuck = true;
    warn('journal-stuck', `the journal could not be written and is done without: ${messageOf(error)}`);
  }
}
