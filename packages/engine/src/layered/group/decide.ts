// What several disks that move as one do next: all freeze at one instant, none leaves its source before all can, and none
// goes back once another has left. Pure: a decision for each disk, made of what it would do alone.
import type { Outcome } from '../../model/decision.ts';
import type { MoveRecord } from '../../model/record.ts';
import { unreachable } from '../../model/units.ts';
import { decideLayered, type LayeredDecision, placeOf, wantsBack } from '../decide.ts';
import { gate, isUnderSwitch, type Turn, WAIT_FOR_GROUP } from './gate.ts';
import { withPause } from './pause.ts';
import {
  asIfOff,
  type Direction,
  directionOf,
  type GroupView,
  isSwitched,
  type Member,
  stageOf,
} from './view.ts';

/**
 * One decision for each member, in their order. A member whose turn it is not waits for the group. Only one of the
 * decisions to act may be carried out; then all must be looked at again.
 */
export function decideGroup(view: GroupView): readonly LayeredDecision[] {
  const direction = directionOf(view);
  const turns = view.members.map((member) => turnOf(member, view, direction));
  const gated = turns.map((_, at) => gate(turns, at, view));
  return withPause(view, turns, switchesFirst(turns, gated));
}

/** From the first switch to the last, nothing else is done. */
function switchesFirst(
  turns: readonly Turn[],
  gated: readonly LayeredDecision[],
): readonly LayeredDecision[] {
  const under = turns.map((turn, at) => isUnderSwitch(turn, gated[at]));
  if (!under.includes(true)) return gated;
  return gated.map((decision, at) => (under[at] || decision.kind !== 'act' ? decision : WAIT_FOR_GROUP));
}

function turnOf(member: Member, view: GroupView, direction: Direction): Turn {
  const { world } = member;
  const wanted = { world, move: turned(member, view, direction) };
  const alone = forwardOnly(wanted, direction);
  return { member: wanted, decision: alone, stage: stageOf(wanted, alone) };
}

/** The record with the goal that the whole has. */
function turned(member: Member, view: GroupView, direction: Direction): MoveRecord {
  const { move } = member;
  switch (direction) {
    case 'open':
      return move;
    case 'forward':
      return isSwitched(member) ? move : { ...move, goal: 'pivot' };
    case 'keep':
      return isAboutToKeep(member) ? move : { ...move, goal: 'keep' };
    case 'back':
      if (wantsBack(move)) return { reason: reasonIn(view), ...move };
      return { ...move, goal: 'abort', reason: reasonIn(view) };
    default:
      return unreachable(direction);
  }
}

/** It comes to that by itself, and notes then what was copied. */
function isAboutToKeep({ world, move }: Member): boolean {
  return move.goal === 'copy' && placeOf(world, move) === 'overlay' && world.copies === 'complete';
}

function reasonIn({ members, complete }: GroupView): string {
  const known = members.map(({ move }) => move.reason).find((reason) => reason !== undefined);
  return known ?? (complete ? 'aborted' : 'it was stopped before every disk was recorded');
}

/** What it would do alone; but for giving up, once another disk has left its source. */
function forwardOnly({ world, move }: Member, direction: Direction): LayeredDecision {
  const gone = direction === 'forward' && world.domain === 'gone';
  const decision = decideLayered(gone ? asIfOff({ world, move }) : world, move);
  if (direction !== 'forward' || decision.kind !== 'act') return decision;
  const { step } = decision;
  if (step.name !== 'record' || decision.goal !== 'abort' || wantsBack(move)) return decision;
  const outcome: Outcome = { kind: 'interrupted', why: 'copy-failed' };
  return {
    kind: 'end',
    outcome: step.reason === undefined ? outcome : { ...outcome, detail: step.reason },
  };
}
