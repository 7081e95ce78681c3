// Holds a disk back until the others that move with it are as far.
import { unreachable } from '../../model/units.ts';
import type { LayeredDecision } from '../decide.ts';
import { type GroupView, isGoingBack, type Member, type Stage, whereIs } from './view.ts';

/** A member, what it would do alone, and how far that makes it. */
export interface Turn {
  readonly member: Member;
  readonly decision: LayeredDecision;
  readonly stage: Stage;
}

export const WAIT_FOR_GROUP: LayeredDecision = { kind: 'wait', wait: { for: 'group' } };

/** The member's own decision, or the wait for the others. */
export function gate(turns: readonly Turn[], at: number, view: GroupView): LayeredDecision {
  const turn = turns[at];
  if (turn === undefined) throw new Error('a turn for each member');
  const { decision } = turn;
  const others = turns.filter((_, other) => other !== at);
  const kind = kindOf(turn);
  switch (kind) {
    case 'claim':
      return unless(
        others.every(({ member }) => isRecorded(member)),
        decision,
      );
    case 'freeze':
      return unless(view.complete && others.every(isAtLeast('claimed')), decision);
    case 'copy':
      // One after the other: side by side they would only take each other's bandwidth, and twice what the guard allows.
      return unless(
        others.every(({ member }) => member.world.copying !== 'running'),
        decision,
      );
    case 'mirror':
      return passes(others.every(isAtLeast('copied')), turn, view);
    case 'switch':
      return passes(maySwitch(turns, at), turn, view);
    case 'keep':
      return passes(others.every(isCopied), turn, view);
    case 'held':
      return unless(
        others.every(({ decision: other }) => isHeld(other)),
        decision,
      );
    case 'return':
      return unless(
        others.every(({ member }) => isGoingBack(member)),
        decision,
      );
    case 'close':
      return unless(
        others.every(({ decision: other }) => closes(other) === closes(decision)),
        decision,
      );
    case 'free':
      return decision;
    default:
      return unreachable(kind);
  }
}

type Kind = 'claim' | 'freeze' | 'copy' | 'mirror' | 'switch' | 'keep' | 'held' | 'return' | 'close' | 'free';

function kindOf(turn: Turn): Kind {
  const { decision, member } = turn;
  if (decision.kind === 'end') return isHeld(decision) ? 'held' : 'free';
  if (decision.kind !== 'act') return 'free';
  const { step, phase } = decision;
  const place = whereIs(member);
  if (ordersSwitch(turn)) return 'switch';
  switch (step.name) {
    case 'claim-files':
      return place === 'origin' ? 'claim' : 'free';
    case 'freeze':
      return place === 'origin' ? 'freeze' : 'free';
    case 'copy-layers':
      return 'copy';
    case 'prepare-carrier':
      return 'mirror';
    case 'keep-copies':
      return 'keep';
    case 'start-leg':
      return step.leg === 'switch' ? 'mirror' : step.leg === 'return' ? 'return' : 'free';
    case 'finish-leg':
    case 'walk':
      return step.leg === 'return' ? 'return' : 'free';
    case 'record':
      return phase === 'returning' && place === 'overlay' ? 'return' : 'free';
    case 'close':
      return 'close';
    default:
      return 'free';
  }
}

/** It is about to leave the overlay forward, or to say so. */
export function ordersSwitch({ decision, member }: Turn): boolean {
  if (decision.kind !== 'act' || whereIs(member) !== 'overlay') return false;
  const { step, phase } = decision;
  // A place of the record that lost it gets it again: that is no order.
  if (step.name === 'record') return phase === 'pivoting' && member.move.phase !== 'pivoting';
  return (step.name === 'finish-leg' || step.name === 'walk') && step.leg === 'switch';
}

/** Its switch is ordered next, or was and has not been seen yet. */
export function isUnderSwitch(turn: Turn, decision: LayeredDecision | undefined): boolean {
  const { world, move } = turn.member;
  if (decision === turn.decision && ordersSwitch(turn)) return true;
  const ordered = move.phase === 'pivoting' && world.live === 'overlay' && world.job.kind === 'ours';
  return ordered && decision?.kind === 'wait' && decision.wait.for === 'job-end';
}

/** In order, and each only when the one before it was seen to be over: then no more than one is ever in doubt. */
function maySwitch(turns: readonly Turn[], at: number): boolean {
  return turns.every(({ stage }, other) => {
    if (other === at) return true;
    return other < at ? stage === 'switched' : stage === 'switched' || stage === 'ready';
  });
}

const ORDER: readonly Stage[] = ['behind', 'claimed', 'copied', 'ready', 'switched'];

function isAtLeast(least: Stage): (turn: Turn) => boolean {
  return ({ stage, member }) => {
    // One that is on its overlay already was frozen before.
    if (least === 'claimed' && whereIs(member) === 'overlay') return true;
    return ORDER.indexOf(stage) >= ORDER.indexOf(least);
  };
}

/** What was to be a copy is complete, and perhaps on record as such. */
function isCopied({ stage, member }: Turn): boolean {
  return stage === 'copied' || member.move.goal === 'keep';
}

function isRecorded({ world }: Member): boolean {
  return Object.values(world.recorded).some((stamp) => typeof stamp === 'object');
}

function isHeld(decision: LayeredDecision): boolean {
  return decision.kind === 'end' && decision.outcome.kind === 'ready';
}

function closes(decision: LayeredDecision): string | undefined {
  const closing = decision.kind === 'act' && decision.step.name === 'close';
  return closing ? decision.step.outcome.kind : undefined;
}

function unless(may: boolean, decision: LayeredDecision): LayeredDecision {
  return may ? decision : WAIT_FOR_GROUP;
}

/** Nothing leaves its source while a disk of the group is without its record: nobody could take that one along. */
function passes(may: boolean, { decision }: Turn, { complete }: GroupView): LayeredDecision {
  if (!complete) return { kind: 'end', outcome: { kind: 'interrupted', why: 'group-incomplete' } };
  return unless(may, decision);
}
