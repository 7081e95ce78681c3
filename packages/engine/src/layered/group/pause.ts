// With --group-pause the guest stands still while its disks are switched: when to pause it, and when to let it go on.
import type { LayeredDecision } from '../decide.ts';
import { isUnderSwitch, type Turn, WAIT_FOR_GROUP } from './gate.ts';
import type { GroupView } from './view.ts';

/**
 * Puts the pause before the first switch, and its end before everything else. A pause that another process ordered is
 * over at once: that one has died, or is about to. Intent before act: `paused` stands in the first disk's record from
 * before the pause until after it.
 */
export function withPause(
  view: GroupView,
  turns: readonly Turn[],
  gated: readonly LayeredDecision[],
): readonly LayeredDecision[] {
  const [leader] = turns;
  const { group, phase, goal } = leader?.member.move ?? {};
  if (leader === undefined || group === undefined || phase === undefined || goal === undefined) return gated;
  const only = (name: 'pause-guest' | 'unpause-guest'): readonly LayeredDecision[] =>
    gated.map((_, at) => (at === 0 ? { kind: 'act', phase, goal, step: { name } } : WAIT_FOR_GROUP));
  const switching = turns.some((turn, at) => isUnderSwitch(turn, gated[at]));
  if (group.paused !== undefined) return view.guest.held && switching ? gated : only('unpause-guest');
  const isFirst = turns.every(({ stage }) => stage === 'ready') && gated.some(isOrder);
  const wanted = group.pause && leader.member.world.domain === 'running';
  return wanted && isFirst && !view.guest.paused && !view.guest.tried ? only('pause-guest') : gated;
}

/** The order itself: its intent is on record, so that the pause need not wait for that. */
function isOrder(decision: LayeredDecision): boolean {
  return decision.kind === 'act' && decision.step.name === 'finish-leg';
}
