// What a commit or a pull does next. Pure. A block job that ends with a switch to an image is what a mirror is, and the
// answers are the same; only a domain that is off needs others, for its chain is shortened all the same.

import { unknownToLibvirt } from '../decide/beyond-libvirt.ts';
import { afterLostPivot, decide, MAX_STARTS, settle, undo, wantsBack, whyBack } from '../decide/decide.ts';
import { act, recorded } from '../decide/intent.ts';
import type { Decision, Interruption, ShortenStep } from '../model/decision.ts';
import type { MoveRecord } from '../model/record.ts';
import type { ShortenWorld } from '../model/world.ts';

export type ShortenDecision = Decision<ShortenStep>;

/**
 * As `decide`, with `origin` for the chain as it was and `destination` for the chain as it is to be.
 *
 * Until the switch, or the end of a job that needs none, the images that are to leave show the guest what they did before,
 * whatever was written below them: undoing is to end the job, and nothing else.
 */
export function decideShorten(world: ShortenWorld, move: MoveRecord): ShortenDecision {
  const stop = world.offline === 'running' && (world.domain !== 'off' || wantsBack(move));
  if (stop) return act(world, move, move.phase, { name: 'stop-offline' });
  return world.domain === 'off' ? whenOff(world, move) : ofShortening(decide(world, move));
}

function whenOff(world: ShortenWorld, move: MoveRecord): ShortenDecision {
  if (world.offline === 'elsewhere') return { kind: 'wait', wait: { for: 'offline' } };
  const unknown = unknownToLibvirt(world, move);
  if (unknown !== undefined) return ofShortening(unknown);
  if (move.phase === 'settling') return ofShortening(settle(world, move));
  if (move.phase === 'pivoting' && world.config !== 'destination') {
    return ofShortening(afterLostPivot(world, move) ?? { kind: 'ask', question: 'which-side' });
  }
  switch (world.config) {
    case 'destination':
      return ofShortening(settle(world, move));
    case 'origin':
      return wantsBack(move) ? ofShortening(undo(world, move, whyBack(move))) : offline(world, move);
    default:
      return wantsBack(move)
        ? ofShortening(undo(world, move, whyBack(move)))
        : interrupted(world, move, world.failure ? 'copy-failed' : 'disk-changed', world.failure);
  }
}

function offline(world: ShortenWorld, move: MoveRecord): ShortenDecision {
  // A person is to decide, and this would be the decision.
  if (move.goal === 'hold' && world.offline === 'no') return interrupted(world, move, 'domain-off');
  switch (world.offline) {
    case 'no':
      // Done again and again, it would never show.
      if (world.starts >= MAX_STARTS)
        return interrupted(world, move, 'copy-failed', 'it is not seen to be done');
      return act(world, move, 'copying', { name: 'work-offline' });
    case 'elsewhere':
    case 'running':
      return recorded(world, move, 'copying') ?? { kind: 'wait', wait: { for: 'offline' } };
    case 'done':
      return act(world, move, 'copying', { name: 'finish-offline' });
    default:
      return interrupted(world, move, 'copy-failed', world.offline.failed);
  }
}

function interrupted(
  world: ShortenWorld,
  move: MoveRecord,
  why: Interruption,
  detail?: string,
): ShortenDecision {
  const outcome = { kind: 'interrupted', why, ...(detail !== undefined && { detail }) } as const;
  return recorded(world, move, move.phase) ?? { kind: 'end', outcome };
}

/** The mirror's answers in our steps. Of the others there is no need: nothing is made, and nothing undefined. */
function ofShortening(decision: Decision): ShortenDecision {
  if (decision.kind !== 'act') return decision;
  const { step, ...rest } = decision;
  switch (step.name) {
    case 'start-copy':
      return { ...rest, step: { name: 'start-job' } };
    case 'record':
    case 'pivot':
    case 'cancel-job':
    case 'fix-definition':
    case 'delete-source':
    case 'compare-sides':
    case 'close':
      return { ...rest, step };
    case 'restart-synchronously':
    case 'claim-destination':
    case 'undefine':
    case 'discard-copy':
    case 'restore-definition':
      throw new Error(`${step.name} is no step of a commit or a pull`);
  }
}
