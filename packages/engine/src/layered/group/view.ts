// What is known of several disks that move as one, at one look at all of them.
import type { Outcome } from '../../model/decision.ts';
import type { KnownPlace, LayeredWorld, Place } from '../../model/layered-world.ts';
import type { MoveRecord } from '../../model/record.ts';
import type { LayeredDecision } from '../decide.ts';
import { placeOf, wantsBack } from '../decide.ts';

export interface Member {
  readonly world: LayeredWorld;
  readonly move: MoveRecord;
}

export interface GroupView {
  /** In the order in which they are switched; those that have ended are left out. */
  readonly members: readonly Member[];
  /** No disk of the group is without its record, but those that have ended. */
  readonly complete: boolean;
  /** How those ended that have. */
  readonly ended: readonly Outcome['kind'][];
  readonly guest: {
    /** It stands still, whoever paused it. */
    readonly paused: boolean;
    /** This process has paused it, a moment ago. */
    readonly held: boolean;
    /** This process has paused it before, and let it go on. */
    readonly tried: boolean;
  };
}

/**
 * - `forward`: a disk has left its source for good, so every other does
 * - `back`: a disk goes back to its source, or is there again, so every other does
 * - `keep`: the copies of all disks are complete, so they stay, and every disk goes back to its source
 * - `open`: none of these, as far as can be told
 */
export type Direction = 'forward' | 'back' | 'keep' | 'open';

export function directionOf({ members, ended, complete }: GroupView): Direction {
  if (ended.includes('moved') || members.some(isSwitched)) return 'forward';
  // That of the first was noted when those of all others were complete too.
  const kept = members.some(({ move }) => move.copy !== undefined && move.goal === 'keep');
  if (kept || ended.includes('copied')) return 'keep';
  if (ended.includes('back') || members.some(hasReturned)) return 'back';
  // The order to switch was given, and what became of it is not known yet.
  if (members.some(mayBeSwitching)) return 'open';
  const unfinished = !complete && members.every(({ move }) => move.phase === 'freezing');
  return unfinished || members.some(({ move }) => wantsBack(move)) ? 'back' : 'open';
}

/** Where the guest has this disk; as decideLayered sees it, but for a domain that is gone. */
export function whereIs({ world, move }: Member): Place {
  const place = placeOf(world, move);
  // A transient domain ended, and what it left was carried forward without it: the overlay goes last.
  const walked = world.domain === 'gone' && place === 'overlay' && world.overlay === 'absent';
  return walked && world.carrier === 'ours' ? 'carrier' : place;
}

export function isSwitched(member: Member): boolean {
  const { phase } = member.move;
  if (phase === 'collapsing' || phase === 'landing' || phase === 'settling') return true;
  const place: Place = whereIs(member);
  return place === 'carrier' || place === 'destination';
}

function hasReturned(member: Member): boolean {
  const { phase } = member.move;
  return whereIs(member) === 'origin' && (phase === 'undoing' || phase === 'returning');
}

function mayBeSwitching(member: Member): boolean {
  return member.move.phase === 'pivoting' && whereIs(member) === 'overlay';
}

/** Going back, and nothing of the way forward can happen to it any more. */
export function isGoingBack(member: Member): boolean {
  const { world, move } = member;
  if (whereIs(member) === 'origin') return true;
  if (move.phase !== 'undoing' && move.phase !== 'returning') return false;
  return world.copying !== 'running' && !(world.job.kind === 'ours' && world.job.leg === 'switch');
}

/** How far a disk is on the way to its switch. */
export type Stage = 'behind' | 'claimed' | 'copied' | 'ready' | 'switched';

export function stageOf(member: Member, decision: LayeredDecision): Stage {
  if (isSwitched(member)) return 'switched';
  const place = whereIs(member);
  const step = decision.kind === 'act' ? decision.step : undefined;
  if (place === 'origin') return step?.name === 'freeze' ? 'claimed' : 'behind';
  if (place !== 'overlay' || wantsBack(member.move)) return 'behind';
  const { job } = member.world;
  if (step?.name === 'walk') return 'ready';
  if (job.kind === 'ours' && job.leg === 'switch') {
    return job.state === 'ready' || job.state === 'pivoting' ? 'ready' : 'copied';
  }
  return step?.name === 'prepare-carrier' || step?.name === 'start-leg' || step?.name === 'keep-copies'
    ? 'copied'
    : 'behind';
}

/** The world of a transient domain that has ended, as if it were defined, and off, where the guest left it. */
export function asIfOff(member: Member): LayeredWorld {
  const { world } = member;
  const place = whereIs(member);
  const known = (['origin', 'overlay', 'carrier', 'destination'] as const).find(
    (each): each is KnownPlace => each === place,
  );
  return known === undefined ? world : { ...world, domain: 'off', config: known };
}
