// The verbs `pivot`, `abort` and `resume --use` change what is wanted of an open move; the loop does the rest.
import { quoteArgument } from '@blockferry/qemu';
import { record } from '../act/record.ts';
import { Refusal } from '../model/errors.ts';
import type { Goal, MoveRecord } from '../model/record.ts';
import { undoCommand } from '../model/undo-command.ts';
import type { BytesPerSecond } from '../model/units.ts';
import { newMemory } from '../observe/memory.ts';
import type { Context } from './context.ts';
import { mustHaveTools } from './must-have-tools.ts';
import { type Look, look } from './strategy.ts';

export interface Change {
  readonly goal?: Goal;
  /** Which image is the truth, where only a person can tell. */
  readonly use?: 'source' | 'destination';
  /** Bytes a second, 0 for no limit: a copy that has to start again keeps to it. */
  readonly bandwidth?: BytesPerSecond;
}

/** An answer that is given before the question would be taken for one to whatever is asked later. */
function mustBeAsked(seen: Look, move: MoveRecord): void {
  const decision = seen.decide(move);
  const isAsked =
    decision.kind === 'ask'
      ? decision.question === 'which-side' || decision.question === 'domain-gone-while-pivoting'
      : decision.kind === 'act' && /^compare-(sides|ends)$/.test(decision.step.name);
  if (isAsked) return;
  throw new Refusal(
    'not-asked',
    `nobody asked which image of ${move.disk} is the truth`,
    {},
    `see how it stands: blockferry status ${quoteArgument(move.domain.name)}`,
  );
}

/**
 * Writes the changed intent to every place of the record; a blockferry that runs this move reads it there at its
 * next look. May be repeated.
 *
 * @throws Refusal `not-ready` for `keep` before the mirror is ready: the copy would not be complete; `not-asked` for
 *   `use` where there is nothing to decide between; `not-a-move` for `pivot` of what is only copied
 * @returns the record as it now stands
 */
export async function changeGoal(context: Context, move: MoveRecord, change: Change): Promise<MoveRecord> {
  mustHaveTools(context, move);
  const memory = newMemory();
  const seen = await look(context, move, memory);
  const before = seen.seen.stored ?? move;
  if (before.copy !== undefined) mustSuitCopy(before, change);
  else if (change.goal === 'keep') mustBeKeepable(seen, move);
  // A copy that is complete stays: it is too late to take it back.
  if (change.goal === 'abort' && before.copy !== undefined && before.goal === 'keep') return before;
  const { bandwidth, ...intent } = change;
  if (change.use !== undefined) mustBeAsked(seen, before);
  const options = bandwidth === undefined ? before.options : { ...before.options, bandwidth };
  const changed = { ...before, ...intent, options, revision: (before.revision ?? 0) + 1 };
  await record({ context, observation: seen.seen, move: changed, memory, warn: () => {} });
  return changed;
}

/** It is kept by itself, and switched to never. */
function mustSuitCopy({ disk, domain }: MoveRecord, { goal }: Change): void {
  if (goal !== 'pivot' && goal !== 'hold' && goal !== 'keep') return;
  const end = goal === 'keep' ? 'it stays by itself when it is complete' : 'there is nothing to switch to';
  throw new Refusal(
    'not-a-move',
    `${disk} of ${domain.name} is copied, and not moved: ${end}`,
    {},
    `go on with it: blockferry resume ${quoteArgument(domain.name)}`,
  );
}

function mustBeKeepable({ job }: Look, move: MoveRecord): void {
  const { name } = move.domain;
  if (move.strategy === 'layered') {
    throw new Refusal(
      'keep-not-layered',
      'strategy layered keeps no copy without a switch',
      {},
      `undo it: ${undoCommand(move)}; and use --strategy mirror`,
    );
  }
  if (job.kind === 'ours' && job.state === 'ready') return;
  throw new Refusal(
    'not-ready',
    `the copy of ${move.disk} is not complete, so there is nothing to keep yet`,
    {},
    `wait until blockferry status ${quoteArgument(name)} says ready`,
  );
}
