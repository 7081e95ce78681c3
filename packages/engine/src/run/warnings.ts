// The longer words that a run has for what holds it up, and what to do about it.
import { dirname } from 'node:path';
import { quoteArgument } from '@blockferry/qemu';
import type { Place } from '../model/layered-world.ts';
import type { MoveRecord } from '../model/record.ts';
import { undoCommand } from '../model/undo-command.ts';
import type { LayersProgress } from '../observe/memory.ts';

export function silentWords(move: MoveRecord, live: Place): string {
  if (live === 'carrier') {
    return 'the destination does not answer, and what the guest reads of it waits. Make it answer again and the move goes on';
  }
  const now = 'the destination does not answer. The guest runs on the source and is not held up.';
  const whenForward = `Make it answer again and the move goes on; or undo it with: ${undoCommand(move)}`;
  const whenBack =
    'Ending the copy now would hold it up until the destination answers. Make it answer again, or end it for good (kill its server): then the copy ends by itself';
  return `${now} ${move.goal === 'pivot' || move.goal === 'hold' ? whenForward : whenBack}`;
}

export function divergingWords(move: MoveRecord): string {
  if (move.shorten !== undefined) {
    const limit = `blockferry bandwidth ${quoteArgument(move.domain.name)} ${move.disk} 0`;
    return `the guest writes as fast as its images are committed, so it may never be ready; without a limit it may: ${limit}`;
  }
  return `the guest writes as fast as the mirror copies, so it may never be ready: abort and move with ${surelyEnds(move)}`;
}

/** Synchronous writes are not for shallow mirrors; see preflight. */
function surelyEnds({ scope }: MoveRecord): string {
  return scope === 'shallow' ? '--strategy layered' : '--synchronous-writes, or with --converge';
}

/** What a copy that waits for room says; undefined: it does not. */
export function roomWords(
  { destination }: Pick<MoveRecord, 'destination'>,
  space: LayersProgress['space'],
): { readonly code: string; readonly message: string } | undefined {
  const { source } = destination;
  const where = source.kind === 'file' ? dirname(source.path) : 'the destination';
  const rest = 'The copy waits, and goes on by itself when there is room; the guest runs on';
  switch (space) {
    case 'enough':
      return undefined;
    case 'low':
      return {
        code: 'waits-for-space',
        message: `${where} is nearly full, before anything has failed. ${rest}`,
      };
    case 'full':
      return { code: 'waits-for-space', message: `${where} is full. ${rest}` };
  }
}
