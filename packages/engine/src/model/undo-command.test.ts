// Who types what he is told takes the move back, and nothing else.
import { expect, it } from 'vitest';
import { layeredMove } from './testing/layered-move.ts';
import { undoCommand } from './undo-command.ts';

it('names one disk, and of several that move as one none', () => {
  const move = { ...layeredMove(), domain: { name: 'my web', uuid: 'u' }, disk: 'vdb' };
  expect(undoCommand(move)).toBe("blockferry abort 'my web' vdb");
  const group = { id: 'g', disks: ['vda', 'vdb'], pause: false };
  expect(undoCommand({ ...move, group })).toBe("blockferry abort 'my web'");
});
