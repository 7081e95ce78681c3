// Where libvirt's word on a layered move is not enough: a switch that was ordered and not seen, a domain it has lost.
import { act, recordPhase } from '../decide/intent.ts';
import type { Decision, LayeredStep } from '../model/decision.ts';
import { type KnownPlace, type LayeredWorld, LEGS, type Leg, type Place } from '../model/layered-world.ts';
import type { MoveRecord, Phase } from '../model/record.ts';
import { unreachable } from '../model/units.ts';

/** The leg whose switch is ordered in this phase. */
export function legOf(phase: Phase): Leg | undefined {
  switch (phase) {
    case 'pivoting':
      return 'switch';
    case 'landing':
      return 'collapse';
    case 'returning':
      return 'return';
    case 'freezing':
    case 'copying':
    case 'collapsing':
    case 'settling':
    case 'undoing':
    case 'canceled':
      return undefined;
    default:
      return unreachable(phase);
  }
}

/** libvirt says that the domain does not run, and its QEMU does: nothing may be touched. */
export function unknownToLibvirt(world: LayeredWorld, move: MoveRecord): Decision<LayeredStep> | undefined {
  if (world.domain === 'running') return undefined;
  const leg = legOf(move.phase);
  switch (world.qemuWrites) {
    case 'not-asked':
    case 'nobody':
      return undefined;
    case 'destination':
      if (leg !== undefined && isKnown(world.config) && world.config !== LEGS[leg].to) {
        return act(world, move, move.phase, { name: 'define-on', place: LEGS[leg].to });
      }
      return { kind: 'ask', question: 'unknown-to-libvirt' };
    case 'origin':
    case 'both':
    case 'unclear':
      return { kind: 'ask', question: 'unknown-to-libvirt' };
    default:
      return unreachable(world.qemuWrites);
  }
}

/**
 * A switch was ordered, and the guest (or its definition) is still at the leg's start without the job: the switch may have
 * happened in a QEMU that has died since, and the leg's end may hold writes that its start lacks.
 */
export function lostSwitch(
  world: LayeredWorld,
  move: MoveRecord,
  place: Place,
): Decision<LayeredStep> | undefined {
  const leg = legOf(move.phase);
  if (leg === undefined || place !== LEGS[leg].from || world.job.kind === 'ours') return undefined;
  const before = phaseBefore(leg);
  if (world.domain === 'running') {
    if (world.qemuWrites === 'destination') {
      if (isKnown(world.config) && world.config !== LEGS[leg].to) {
        return act(world, move, move.phase, { name: 'define-on', place: LEGS[leg].to });
      }
      return { kind: 'ask', question: 'phantom-mirror' };
    }
    // The QEMU that was told to switch still runs, and has not.
    if (world.sameInstance && world.qemuWrites === 'origin') return recordPhase(move, before);
    return move.use === 'source' ? recordPhase(move, before) : { kind: 'ask', question: 'which-side' };
  }
  if (move.use === 'destination')
    return act(world, move, move.phase, { name: 'define-on', place: LEGS[leg].to });
  if (world.sides === 'same' || move.use === 'source') return recordPhase(move, before);
  if (world.sides === 'not-asked') return act(world, move, move.phase, { name: 'compare-ends', leg });
  return { kind: 'ask', question: 'which-side' };
}

/** The guest was on its overlay, unseen, and went on without it: what is there is no place to go on from, and not to be dropped. */
export function writtenApart(world: LayeredWorld): Decision<LayeredStep> | undefined {
  if (world.unseen !== 'both') return undefined;
  const { domain, qemuWrites } = world;
  const isAhead = qemuWrites === 'destination' || qemuWrites === 'both' || qemuWrites === 'unclear';
  return { kind: 'ask', question: domain === 'running' && isAhead ? 'phantom-mirror' : 'both-written' };
}

/**
 * The guest was seen further on than it, or its definition, is now: somebody defined the domain from an old file, or a
 * crash came before the definition was put right. One that is off is defined on the image it left, unless somebody wrote
 * to the other one since; then, and while it runs there, only a person can say what is right.
 */
export function fellBack(world: LayeredWorld, move: MoveRecord, place: Place): FellBack | undefined {
  if (overlayIsNewer(world, move, place)) return { kind: 'define', place: 'overlay' };
  const seen = seenIn(move.phase);
  if (seen === undefined || !isKnown(place) || ORDER.indexOf(place) >= ORDER.indexOf(seen)) return undefined;
  const [left, now] = [world.writtenAt[seen], world.writtenAt[place]];
  const untouched = left !== undefined && (now === undefined || now <= left);
  if (world.domain === 'off' && untouched) return { kind: 'define', place: seen };
  // A device does not tell when it was written to: it may hold the only copy of what the guest wrote last.
  const mayBeAhead = seen === 'destination' && left === undefined && world.copyFiles !== 'absent';
  return { kind: 'changed', mayBeAhead };
}

/**
 * Undoing, with the domain off and defined on the origin, which lacks what the overlay got last: a commit that took
 * everything along wrote to the origin after it. Before, there was none.
 */
function overlayIsNewer(world: LayeredWorld, { phase, goal }: MoveRecord, place: Place): boolean {
  const { domain, writtenAt } = world;
  if (world.overlay !== 'ours' || domain !== 'off' || place !== 'origin') return false;
  if (phase === 'freezing') return goal === 'abort' && world.unseen === 'writes';
  if (phase !== 'undoing' && phase !== 'returning') return false;
  const { overlay, origin } = writtenAt;
  return overlay !== undefined && origin !== undefined && overlay > origin;
}

export type FellBack =
  | { readonly kind: 'define'; readonly place: KnownPlace }
  | { readonly kind: 'changed'; readonly mayBeAhead: boolean };

/** The way of the guest. */
const ORDER: readonly KnownPlace[] = ['origin', 'overlay', 'carrier', 'destination'];

/** Where the guest was at least once, when this phase was recorded on the way forward. */
function seenIn(phase: Phase): KnownPlace | undefined {
  switch (phase) {
    case 'copying':
    case 'pivoting':
      return 'overlay';
    case 'collapsing':
    case 'landing':
      return 'carrier';
    case 'settling':
      return 'destination';
    case 'freezing':
    case 'undoing':
    case 'returning':
    case 'canceled':
      return undefined;
    default:
      return unreachable(phase);
  }
}

function phaseBefore(leg: Leg): Phase {
  switch (leg) {
    case 'switch':
      return 'copying';
    case 'collapse':
      return 'collapsing';
    case 'return':
      return 'undoing';
    default:
      return unreachable(leg);
  }
}

function isKnown(place: Place): place is KnownPlace {
  return place !== 'none' && place !== 'elsewhere';
}
