// What a move with strategy `layered` does next. Pure, like the mirror's: the same world and record give the same answer.
import { act, recorded, recordPhase } from '../decide/intent.ts';
import type { Decision, Interruption, LayeredStep } from '../model/decision.ts';
import { type KnownPlace, type LayeredWorld, LEGS, type Place } from '../model/layered-world.ts';
import type { MoveRecord, Phase } from '../model/record.ts';
import { unreachable } from '../model/units.ts';
import { isSomething } from './claims.ts';
import { fellBack, lostSwitch, unknownToLibvirt, writtenApart } from './doubt.ts';
import { endedLeg, isServedAgain, onLeg } from './legs.ts';
import { nextRound, ontoOverlay } from './rounds.ts';

export type LayeredDecision = Decision<LayeredStep>;

/**
 * Decides the next step. Order of trust: the live definition, then the persistent one, then the record. Where the guest
 * is says how far the move has come; the record says where it is meant to go.
 */
export function decideLayered(world: LayeredWorld, move: MoveRecord): LayeredDecision {
  const decision = decideNext(world, move);
  return isAwayFromSaved(world, decision) ? interrupted(world, move, 'domain-saved') : decision;
}

/**
 * With nobody there, images are merged and removed. A domain that was saved (libvirt-guests does that when its host goes down)
 * goes on with what its memory knows of the one it was on.
 */
function isAwayFromSaved({ savedOn }: LayeredWorld, decision: LayeredDecision): boolean {
  if (savedOn === undefined || decision.kind !== 'act') return false;
  const { step } = decision;
  if (step.name === 'walk') return LEGS[step.leg].to !== savedOn;
  return step.name === 'define-on' && step.place !== savedOn;
}

function decideNext(world: LayeredWorld, move: MoveRecord): LayeredDecision {
  const unknown = unknownToLibvirt(world, move);
  if (unknown !== undefined) return unknown;
  // Before everything else: until then its file systems may stand still.
  if (move.copy?.quiescing && world.domain === 'running') {
    return act(world, move, move.phase, { name: 'thaw-guest' });
  }
  const place = placeOf(world, move);
  const lost = lostSwitch(world, move, place);
  if (lost !== undefined) return lost;
  const apart = writtenApart(world);
  if (apart !== undefined) return apart;
  const back = fellBack(world, move, place);
  if (back?.kind === 'define') return act(world, move, move.phase, { name: 'define-on', place: back.place });
  // Going back needs the guest on the overlay, or never frozen: anything else is for a person.
  const mayGoBack = wantsBack(move) && place === 'origin';
  if (back?.kind === 'changed' && (back.mayBeAhead || !mayGoBack)) {
    return interrupted(world, move, 'disk-changed');
  }
  switch (place) {
    case 'origin':
      return onOrigin(world, move);
    case 'overlay':
      return onOverlay(world, move);
    case 'carrier':
      return onCarrier(world, move);
    case 'destination':
      return settle(world, move);
    case 'elsewhere':
    case 'none':
      return interrupted(world, move, 'disk-changed');
    default:
      return unreachable(place);
  }
}

/** Where the guest is; of a domain that is off, where its next start would put it; of one that is gone, where it was. */
export function placeOf(world: LayeredWorld, move: MoveRecord): Place {
  switch (world.domain) {
    case 'running':
      return world.live;
    case 'off':
      return world.config;
    case 'gone':
      return placeBy(move.phase, world);
    default:
      return unreachable(world.domain);
  }
}

/** A transient domain has ended, and nothing but the record tells how far it had come. */
function placeBy(phase: Phase, world: LayeredWorld): Place {
  switch (phase) {
    case 'freezing':
    case 'undoing':
    case 'returning':
      return world.overlay === 'ours' ? 'overlay' : 'origin';
    case 'copying':
    case 'pivoting':
      return 'overlay';
    case 'collapsing':
    case 'landing':
      return world.carrier === 'ours' ? 'carrier' : 'destination';
    case 'settling':
      return 'destination';
    case 'canceled':
      return 'origin';
    default:
      return unreachable(phase);
  }
}

function onOrigin(world: LayeredWorld, move: MoveRecord): LayeredDecision {
  if (world.job.kind === 'foreign' && !wantsBack(move)) return interrupted(world, move, 'foreign-job');
  if (wantsBack(move)) return clear(world, move, move.reason ?? 'aborted');
  if (move.phase !== 'freezing') {
    // The guest was on the overlay, and somebody else put it back: what was copied is not what it has now.
    return interrupted(world, move, 'disk-changed');
  }
  if (world.domain === 'gone') return clear(world, move, 'the domain is gone');
  if (world.quiesceFailed !== undefined) return giveUp(world.quiesceFailed);
  if (world.overlay === 'foreign' || world.copyFiles === 'foreign') {
    return interrupted(world, move, 'destination-taken');
  }
  const claimed = world.overlay === 'ours' && world.copyFiles !== 'absent';
  return claimed
    ? ontoOverlay(world, move, 'freezing')
    : act(world, move, 'freezing', { name: 'claim-files' });
}

function onOverlay(world: LayeredWorld, move: MoveRecord): LayeredDecision {
  if (world.onNext) {
    return act(world, move, phaseOn('overlay', move.phase), { name: 'record-round', round: 'begun' });
  }
  const definition = definitionOn(world, move, 'overlay');
  if (definition !== undefined) return definition;
  if (wantsBack(move)) return goBack(world, move);
  if (world.domain === 'gone') return giveUp('the domain is gone');
  if (world.job.kind === 'foreign') return interrupted(world, move, 'foreign-job');
  const copying = copyLayers(world, move);
  if (copying !== undefined) return copying;
  if (move.goal === 'copy') {
    return { kind: 'act', phase: 'undoing', goal: 'keep', step: { name: 'keep-copies' } };
  }
  return nextRound(world, move) ?? leaveOverlay(world, move);
}

/** What is still to be done before the guest may depend on the copies. */
function copyLayers(world: LayeredWorld, move: MoveRecord): LayeredDecision | undefined {
  if (world.job.kind === 'ours') return undefined;
  if (world.copying === 'running') {
    return recorded(world, move, 'copying') ?? { kind: 'wait', wait: { for: 'layers' } };
  }
  if (world.copying !== 'no') return interrupted(world, move, 'copy-failed', world.copying.failed);
  if (world.copies === 'stale') return interrupted(world, move, 'source-changed');
  if (world.copyFiles === 'foreign') return interrupted(world, move, 'destination-taken');
  if (world.copyFiles === 'absent') return act(world, move, 'copying', { name: 'claim-files' });
  if (world.copies !== 'complete') return act(world, move, 'copying', { name: 'copy-layers' });
  if (!world.relinked) return act(world, move, 'copying', { name: 'relink' });
  return undefined;
}

function leaveOverlay(world: LayeredWorld, move: MoveRecord): LayeredDecision {
  const resized = whenResized(world, move);
  if (resized !== undefined) return resized;
  // Rather than fail with what was copied until now.
  if (world.job.kind === 'none' && world.shortOfRoom) {
    return recorded(world, move, 'copying') ?? { kind: 'wait', wait: { for: 'room' } };
  }
  if (world.domain === 'off') return act(world, move, 'copying', { name: 'walk', leg: 'switch' });
  const { job } = world;
  if (job.kind === 'none') {
    const ended = endedLeg(world, 'switch');
    if (ended !== undefined && world.destinationFull) return interrupted(world, move, 'copy-failed', ended);
    if (ended !== undefined) return giveUp(ended);
    // What a mirror left in it is not what it must begin with.
    if (!world.carrierFresh) return act(world, move, 'copying', { name: 'prepare-carrier' });
  }
  return onLeg(world, move, 'switch', 'copying', 'pivoting');
}

function onCarrier(world: LayeredWorld, move: MoveRecord): LayeredDecision {
  const definition = definitionOn(world, move, 'carrier');
  if (definition !== undefined) return definition;
  if (world.job.kind === 'foreign') return interrupted(world, move, 'foreign-job');
  const resized = whenResized(world, move);
  if (resized !== undefined) return resized;
  if (world.domain !== 'running') return act(world, move, 'collapsing', { name: 'walk', leg: 'collapse' });
  const ended = world.job.kind === 'none' ? endedLeg(world, 'collapse') : undefined;
  // The guest has left the source for good, so there is no way back: it stays where it is until it can go on.
  if (ended !== undefined && !isServedAgain(world)) return interrupted(world, move, 'copy-failed', ended);
  return onLeg(world, move, 'collapse', 'collapsing', 'landing');
}

/** Before it is switched it can go back, as large as it is now; on the carrier it needs its old size to go on. */
function whenResized(world: LayeredWorld, move: MoveRecord): LayeredDecision | undefined {
  if (world.resized === undefined) return undefined;
  const { disk, destination } = world.resized;
  const shrink = `virsh blockresize ${move.domain.name} ${move.disk} ${destination}B`;
  const detail = `it has ${disk} bytes now, its place there ${destination}; if what was added is not in use: ${shrink}`;
  return interrupted(world, move, 'disk-resized', detail);
}

/** The guest is on the destination: make the rest agree. */
function settle(world: LayeredWorld, move: MoveRecord): LayeredDecision {
  const definition = definitionOn(world, move, 'destination');
  if (definition !== undefined) return definition;
  if (isSomething(world.overlay) || isSomething(world.carrier)) {
    return act(world, move, 'settling', { name: 'clear', what: 'overlays' });
  }
  if (move.options.deleteSource && world.sourceRemains) {
    return act(world, move, 'settling', { name: 'delete-source' });
  }
  return act(world, move, 'settling', { name: 'close', outcome: { kind: 'moved' } });
}

/** The guest is on the overlay and wanted on the origin. */
function goBack(world: LayeredWorld, move: MoveRecord): LayeredDecision {
  // A QEMU that died may have been on the next one, unseen: what it wrote is to go back too.
  if (world.domain === 'off' && world.next === 'ours') return act(world, move, 'undoing', { name: 'freeze' });
  if (world.copying === 'running') return act(world, move, 'undoing', { name: 'stop-copying' });
  const { job } = world;
  if (job.kind === 'foreign') return interrupted(world, move, 'foreign-job');
  if (job.kind === 'ours' && job.leg !== 'return') {
    if (job.state === 'pivoting' || job.state === 'aborting') {
      return { kind: 'wait', wait: { for: 'job-end' } };
    }
    return act(world, move, 'undoing', { name: 'cancel-leg', leg: job.leg });
  }
  if (world.domain !== 'running') return act(world, move, 'undoing', { name: 'walk', leg: 'return' });
  const ended = job.kind === 'none' ? endedLeg(world, 'return') : undefined;
  if (ended !== undefined) {
    return interrupted(world, move, move.goal === 'keep' ? 'return-failed' : 'copy-failed', ended);
  }
  const outrun = job.kind === 'ours' && job.state === 'running' && world.diverging;
  if (outrun && (move.brake?.level ?? 0) < MOST_BRAKES)
    return act(world, move, 'undoing', { name: 'brake-guest' });
  return onLeg(world, move, 'return', 'undoing', 'returning');
}

/** What the guest may write is quartered as often: to a thousandth. */
const MOST_BRAKES = 5;

/** The guest is on the origin, and stays there: nothing of ours may be left, but copies that were asked for. */
function clear(world: LayeredWorld, move: MoveRecord, why: string): LayeredDecision {
  if (world.copying === 'running') return act(world, move, 'undoing', { name: 'stop-copying' });
  const definition = definitionOn(world, move, 'origin');
  if (definition !== undefined) return definition;
  if (move.brake !== undefined && world.domain === 'running') {
    return act(world, move, 'undoing', { name: 'release-guest' });
  }
  if (move.goal === 'keep') {
    const overlays = [world.overlay, world.next, world.carrier].some(isSomething);
    return overlays
      ? act(world, move, 'undoing', { name: 'clear', what: 'overlays' })
      : act(world, move, 'undoing', { name: 'close', outcome: { kind: 'copied' } });
  }
  if (world.remains) {
    return act(world, move, 'undoing', { name: 'clear', what: 'everything' });
  }
  return act(world, move, 'undoing', { name: 'close', outcome: { kind: 'back', why } });
}

/** The step that makes the persistent definition agree with `place`; one that somebody put elsewhere keeps its word. */
function definitionOn(world: LayeredWorld, move: MoveRecord, place: KnownPlace): LayeredDecision | undefined {
  const phase = phaseOn(place, move.phase);
  const others = world.config !== 'none' && world.config !== 'elsewhere' && world.config !== place;
  if (others) return act(world, move, phase, { name: 'define-on', place });
  return move.phase === phase ? undefined : recordPhase(move, phase);
}

/** The phase that a guest on this image is in, whatever the record says that was intended. */
function phaseOn(place: KnownPlace, phase: Phase): Phase {
  switch (place) {
    case 'origin':
      return phase === 'freezing' ? phase : 'undoing';
    case 'overlay':
      return phase === 'pivoting' || phase === 'returning' || phase === 'undoing' ? phase : 'copying';
    case 'carrier':
      return phase === 'landing' ? phase : 'collapsing';
    case 'destination':
      return 'settling';
    default:
      return unreachable(place);
  }
}

export function wantsBack(move: MoveRecord): boolean {
  return move.goal === 'abort' || move.goal === 'keep';
}

function giveUp(reason: string): LayeredDecision {
  return { kind: 'act', phase: 'undoing', goal: 'abort', step: { name: 'record', reason } };
}

function interrupted(
  world: LayeredWorld,
  move: MoveRecord,
  why: Interruption,
  detail?: string,
): LayeredDecision {
  const outcome = { kind: 'interrupted', why, ...(detail !== undefined && { detail }) } as const;
  return recorded(world, move, move.phase) ?? { kind: 'end', outcome };
}
