// Carries out one step. Each lives in its own file and may be repeated after a crash at any point.
import type { Decision, Step } from '../model/decision.ts';
import type { MoveRecord } from '../model/record.ts';
import { unreachable } from '../model/units.ts';
import type { Memory } from '../observe/memory.ts';
import type { Observation } from '../observe/observe.ts';
import type { Seen } from '../observe/seen.ts';
import type { Context } from '../run/context.ts';
import { cancelJob } from './cancel-job.ts';
import { claimDestination } from './claim-destination.ts';
import { close } from './close.ts';
import { compareSides } from './compare-sides.ts';
import { deleteSource } from './delete-source.ts';
import { discardCopy } from './discard-copy.ts';
import { fixDefinition } from './fix-definition.ts';
import { pivot } from './pivot.ts';
import { record } from './record.ts';
import { restoreDefinition } from './restore-definition.ts';
import { startCopy } from './start-copy.ts';
import { undefine } from './undefine.ts';

/** What a step works on; `O` is what its strategy observes. */
export interface Scene<O extends Seen = Observation> {
  readonly context: Context;
  readonly observation: O;
  /** The record, its phase and goal those of the decision. */
  readonly move: MoveRecord;
  readonly memory: Memory;
  /** Says something to the operator that is no reason to stop. */
  readonly warn: (code: string, message: string) => void;
}

/** Does the step of a decision; returns the record as it is afterwards. */
export async function act(
  scene: Omit<Scene, 'move'>,
  before: MoveRecord,
  decision: Decision & { readonly kind: 'act' },
): Promise<MoveRecord> {
  const { step } = decision;
  const reason = step.name === 'record' ? step.reason : undefined;
  const move = afterStep(afterRecord(before, decision, reason), step);
  await perform({ ...scene, move }, step);
  return move;
}

/** The record as a decision wants it: its phase and goal, and one revision on. */
export function afterRecord(
  before: MoveRecord,
  { phase, goal }: Pick<MoveRecord, 'phase' | 'goal'>,
  reason: string | undefined,
): MoveRecord {
  const revision = (before.revision ?? 0) + 1;
  const move = { ...withoutAnswer(before, phase), phase, goal, revision };
  return reason === undefined ? move : { ...move, reason };
}

/** A person's answer is for one question: the next pivot that is lost is another. */
function withoutAnswer(move: MoveRecord, next: MoveRecord['phase']): MoveRecord {
  const { use: _, ...unanswered } = move;
  return next === move.phase ? move : unanswered;
}

/** What a step changes in the record itself. */
function afterStep(move: MoveRecord, step: Step): MoveRecord {
  const { ownership } = move;
  if (step.name === 'claim-destination' && (ownership.kind === 'volume' || ownership.kind === 'rbd-image')) {
    return { ...move, ownership: { ...ownership, claimed: true } };
  }
  if (step.name === 'restart-synchronously') {
    return { ...move, options: { ...move.options, synchronousWrites: true } };
  }
  return move;
}

async function perform(scene: Scene, step: Step): Promise<void> {
  switch (step.name) {
    case 'record':
      return record(scene);
    case 'restart-synchronously':
      await record(scene);
      return cancelJob(scene);
    case 'claim-destination':
      return claimDestination(scene);
    case 'undefine':
      return undefine(scene);
    case 'start-copy':
      return startCopy(scene, step.synchronousWrites);
    case 'pivot':
      return pivot(scene);
    case 'cancel-job':
      return cancelJob(scene);
    case 'discard-copy':
      return discardCopy(scene);
    case 'restore-definition':
      return restoreDefinition(scene, step.on);
    case 'fix-definition':
      return fixDefinition(scene, step.on);
    case 'delete-source':
      return deleteSource(scene);
    case 'compare-sides':
      return compareSides(scene);
    case 'close':
      return close(scene, step.outcome);
    default:
      return unreachable(step);
  }
}
