// Picks the view: people or programs.
import type { Io } from '../terminal/io.ts';
import { addressedIo } from './addressed.ts';
import { HumanMoveView } from './human/move.ts';
import { JsonMoveView } from './json/move.ts';
import type { MoveView } from './move-view.ts';

/** @param uri as given with -c, so that advised commands carry it */
export function createMoveView(io: Io, json: boolean, uri: string | undefined): MoveView {
  return json ? new JsonMoveView(io.out, uri) : new HumanMoveView(addressedIo(io, uri));
}
