// The one place that decides what a move does next. Pure: the same world and record always give the same
// answer, whether the move runs for the first time or is picked up after a crash.
import type { Decision, Interruption, Outcome, Step } from '../model/decision.ts';
import { type MoveRecord, mayHavePivoted } from '../model/record.ts';
import { unreachable } from '../model/units.ts';
import type { JobState, World } from '../model/world.ts';
import { switched, unknownToLibvirt, withPhantom, withUnshown } from './beyond-libvirt.ts';
import { act, definitionOn, recorded, recordPhase } from './intent.ts';

/** After this many starts by one process without the end of the job being seen, the move gives up and goes back. */
export const MAX_STARTS = 3;

/**
 * Decides the next step of `move` in `world`.
 *
 * Safe to ask again at any time: a step that was taken but whose effect is not visible yet may be answered
 * again, and every step may be repeated. Order of trust: the live definition, then the persistent one, then
 * the record.
 */
export function decide(world: World, move: MoveRecord): Decision {
  switch (world.domain) {
    case 'gone':
      return whenGone(world, move);
    case 'off':
      return whenOff(world, move);
    case 'running':
      return whenRunning(world, move);
    default:
      return unreachable(world.domain);
  }
}

function whenRunning(world: World, move: MoveRecord): Decision {
  switch (world.live) {
    case 'destination':
      return settle(world, move);
    case 'origin':
      return onOrigin(world, move);
    case 'elsewhere':
    case 'none':
      // Somebody put another image under the guest (a snapshot, a hot-plug): nothing of ours can go on. After the
      // order to pivot it may stand on the destination, which then is not ours to remove.
      if (mayHavePivoted(move) && move.use !== 'source') return interrupted(world, move, 'disk-changed');
      return wantsBack(move) ? undo(world, move, whyBack(move)) : interrupted(world, move, 'disk-changed');
    default:
      return unreachable(world.live);
  }
}

function onOrigin(world: World, move: MoveRecord): Decision {
  switch (world.job.kind) {
    case 'ours':
      return withJob(world, move, world.job.state);
    case 'foreign':
      if (!wantsBack(move)) return interrupted(world, move, 'foreign-job');
      return lostPivot(world, move) ?? undo(world, move, whyBack(move));
    case 'none':
      return withoutJob(world, move);
    default:
      return unreachable(world.job);
  }
}

function withJob(world: World, move: MoveRecord, state: JobState): Decision {
  if (state === 'missing') return withPhantom(world, move);
  if (state === 'unshown') return withUnshown(world, move);
  if (state === 'pivoting' || state === 'aborting') return { kind: 'wait', wait: { for: 'job-end' } };
  if (move.goal === 'abort') return cancelWhenSafe(world, move);
  if (state === 'running') {
    const canForce = move.options.converge && !(move.options.synchronousWrites && world.starts > 0);
    if (world.diverging && canForce && world.answers !== 'silent')
      return act(world, move, 'copying', { name: 'restart-synchronously' });
    return recorded(world, move, 'copying') ?? { kind: 'wait', wait: { for: 'ready' } };
  }
  const spoiled = spoiledDestination(world);
  if (spoiled !== undefined) return giveUp(spoiled);
  switch (move.goal) {
    case 'keep':
      return cancelWhenSafe(world, move);
    case 'hold':
      return recorded(world, move, 'copying') ?? { kind: 'end', outcome: { kind: 'ready' } };
    case 'pivot':
    // A mirror makes no copy but one that it was moving to.
    case 'copy':
      return pivotWhenSafe(world, move);
    default:
      return unreachable(move.goal);
  }
}

/** QEMU goes on with a file whose name is gone, and pivots onto it; the domain could then never start again. */
function spoiledDestination(world: World): string | undefined {
  if (world.destination === 'absent') return 'the destination was deleted during the copy';
  if (world.destination === 'foreign') return 'the destination was replaced during the copy';
  return undefined;
}

/**
 * Ends the mirror, but not while its destination hangs: QEMU drains the disk first, and the guest's writes would wait
 * for what the destination has not answered (measured). It ends by itself as soon as the destination is gone for good.
 */
function cancelWhenSafe(world: World, move: MoveRecord): Decision {
  if (world.answers === 'silent') {
    return recorded(world, move, 'undoing') ?? { kind: 'wait', wait: { for: 'destination' } };
  }
  return act(world, move, 'undoing', { name: 'cancel-job' });
}

/** The mirror is ready and the switch is wanted: only onto a destination that is there and answers. */
function pivotWhenSafe(world: World, move: MoveRecord): Decision {
  // Pivoting onto storage that hangs stops the guest until it answers; the mirror beside it does not.
  if (world.answers === 'silent') return { kind: 'wait', wait: { for: 'destination' } };
  return act(world, move, 'pivoting', { name: 'pivot' });
}

/**
 * The guest is on the source without our mirror, though the pivot was ordered: it may have happened, and the
 * destination may hold writes that the source lacks. Nothing may be thrown away unasked.
 */
function lostPivot(world: World, move: MoveRecord): Decision | undefined {
  if (!mayHavePivoted(move) || move.use === 'source') return undefined;
  // libvirt's live definition is behind: its daemon died before it had seen the pivot.
  if (world.qemuWrites === 'destination') {
    return switched(world, move) ?? { kind: 'ask', question: 'phantom-mirror' };
  }
  // Another QEMU was started from the source; or `settling`: the guest was seen on the destination.
  const doubtful = !world.sameInstance || move.phase === 'settling' || world.qemuWrites !== 'origin';
  return doubtful ? { kind: 'ask', question: 'which-side' } : undefined;
}

function withoutJob(world: World, move: MoveRecord): Decision {
  const lost = lostPivot(world, move);
  if (lost !== undefined) return lost;
  switch (move.goal) {
    case 'abort':
      return undo(world, move, whyBack(move));
    case 'keep':
      return keep(world, move);
    case 'pivot':
    case 'hold':
    case 'copy':
      return copyAgain(world, move);
    default:
      return unreachable(move.goal);
  }
}

/** The guest is on the source and no job runs: start the copy, for the first time or once more. */
function copyAgain(world: World, move: MoveRecord): Decision {
  if (world.witnessed === 'failed') return giveUp(world.failure ?? 'the copy failed');
  if (world.witnessed === 'canceled') return giveUp('the copy was canceled by another client');
  if (world.starts >= MAX_STARTS) return giveUp(`the copy vanished ${MAX_STARTS} times`);
  const start: Step = { name: 'start-copy', synchronousWrites: move.options.synchronousWrites };
  if (move.ownership.kind !== 'reused') {
    if (world.destination === 'foreign') return interrupted(world, move, 'destination-taken');
    if (world.destination === 'absent') return act(world, move, 'copying', { name: 'claim-destination' });
    if (world.destination === 'ours') return act(world, move, 'copying', { name: 'discard-copy' });
  }
  if (move.jobMode === 'undefine' && world.persistent) {
    return act(world, move, 'copying', { name: 'undefine' });
  }
  return act(world, move, 'copying', start);
}

/** The operator wants the copy kept: it is complete only if we saw our cancel at ready succeed. */
function keep(world: World, move: MoveRecord): Decision {
  if (move.phase === 'canceled') {
    if (spoiledDestination(world)) return giveUp('the copy was deleted or replaced before it could be kept');
    return (
      definitionOn(world, move, 'canceled', 'origin') ??
      act(world, move, 'canceled', { name: 'close', outcome: { kind: 'kept' } })
    );
  }
  if (world.witnessed === 'canceled-by-us' && move.phase === 'undoing') {
    return { kind: 'act', phase: 'canceled', goal: 'keep', step: { name: 'record' } };
  }
  return undo(world, move, 'the copy could not be proven complete, so it was not kept');
}

/** Back to the source: definition true, our copy removed, record closed. */
export function undo(world: World, move: MoveRecord, why: string): Decision {
  const definition = definitionOn(world, move, 'undoing', 'origin');
  if (definition !== undefined) return definition;
  if (ownedCopyRemains(world, move)) return act(world, move, 'undoing', { name: 'discard-copy' });
  return act(world, move, 'undoing', { name: 'close', outcome: { kind: 'back', why } });
}

/** The guest is on the destination: make the rest agree. */
export function settle(world: World, move: MoveRecord): Decision {
  const definition = definitionOn(world, move, 'settling', 'destination');
  if (definition !== undefined) return definition;
  if (move.options.deleteSource && world.sourceRemains) {
    return act(world, move, 'settling', { name: 'delete-source' });
  }
  // The record may still say `pivoting`: live and persistent definition both prove the move, so one write less.
  return { kind: 'act', phase: move.phase, goal: move.goal, step: close({ kind: 'moved' }) };
}

function whenOff(world: World, move: MoveRecord): Decision {
  const unknown = unknownToLibvirt(world, move);
  if (unknown !== undefined) return unknown;
  if (move.phase === 'settling') return settle(world, move);
  if (move.phase === 'pivoting') {
    // libvirt changes the persistent definition only when it has seen the pivot succeed.
    if (world.config === 'destination') return settle(world, move);
    return afterLostPivot(world, move) ?? { kind: 'ask', question: 'which-side' };
  }
  if (wantsBack(move)) return move.goal === 'keep' ? keep(world, move) : undo(world, move, whyBack(move));
  const definition = definitionOn(world, move, move.phase, 'origin');
  return definition ?? interrupted(world, move, 'domain-off');
}

function whenGone(world: World, move: MoveRecord): Decision {
  const unknown = unknownToLibvirt(world, move);
  if (unknown !== undefined) return unknown;
  if (move.jobMode === 'undefine' && world.savedDefinition) {
    if (move.phase === 'pivoting') {
      return afterLostPivot(world, move) ?? { kind: 'ask', question: 'which-side' };
    }
    const on = move.phase === 'settling' ? 'destination' : 'origin';
    return act(world, move, move.phase, { name: 'restore-definition', on });
  }
  switch (move.phase) {
    case 'settling':
      return settle(world, move);
    case 'pivoting':
      return afterLostPivot(world, move) ?? { kind: 'ask', question: 'domain-gone-while-pivoting' };
    case 'canceled':
      return keep(world, move);
    case 'copying':
    case 'undoing':
      return undo(world, move, 'the domain is gone');
    case 'freezing':
    case 'collapsing':
    case 'landing':
    case 'returning':
      throw new Error(`${move.phase} is no phase of strategy mirror`);
    default:
      return unreachable(move.phase);
  }
}

/** QEMU ended somewhere between the order to pivot and its success: look at the two images, or be told. */
export function afterLostPivot(world: World, move: MoveRecord): Decision | undefined {
  if (move.use === 'destination') return recordPhase(move, 'settling');
  const sourceIsTrue = world.sides === 'same' || move.use === 'source';
  if (sourceIsTrue) return recordPhase(move, wantsBack(move) ? 'undoing' : 'copying');
  if (world.sides === 'not-asked') return act(world, move, 'pivoting', { name: 'compare-sides' });
  return undefined;
}

function ownedCopyRemains(world: World, move: MoveRecord): boolean {
  if (move.ownership.kind === 'reused') return false;
  return world.destination === 'ours' || world.destination === 'claimed';
}

export function wantsBack(move: MoveRecord): boolean {
  return move.goal === 'abort' || move.goal === 'keep';
}

export function whyBack(move: MoveRecord): string {
  return move.reason ?? 'aborted';
}

function interrupted(world: World, move: MoveRecord, why: Interruption): Decision {
  return recorded(world, move, move.phase) ?? { kind: 'end', outcome: { kind: 'interrupted', why } };
}

function close(outcome: Outcome): Step {
  return { name: 'close', outcome };
}

function giveUp(reason: string): Decision {
  return { kind: 'act', phase: 'undoing', goal: 'abort', step: { name: 'record', reason } };
}
