// Picks the view: people or programs.
import type { Io } from '../terminal/io.ts';
import { HumanMoveView } from './human/move.ts';
import { JsonMoveView } from './json/move.ts';
import type { MoveView } from './move-view.ts';

export function createMoveView(io: Io, json: boolean): MoveView {
  return json ? new JsonMoveView(io.out) : new HumanMoveView(io);
}
