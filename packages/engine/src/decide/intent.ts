// Intent before act: a step is decided only when every place of the record shows the phase that it belongs to.
import type { Decision, Step } from '../model/decision.ts';
import type { Goal, MoveRecord, Phase } from '../model/record.ts';
import type { Stamp, World } from '../model/world.ts';

type RecordStep = Extract<Step, { readonly name: 'record' }>;

/** Intent before act: the step, or first the write of the record that it belongs to. */
export function act<S extends { readonly name: string } = Step>(
  world: Pick<World, 'recorded'>,
  move: MoveRecord,
  phase: Phase,
  step: S,
): Decision<S | RecordStep> {
  return recorded(world, move, phase) ?? { kind: 'act', phase, goal: move.goal, step };
}

/** The write that the record needs before anything of `phase` may happen, if it needs one. */
export function recorded(
  world: Pick<World, 'recorded'>,
  move: MoveRecord,
  phase: Phase,
): Decision<RecordStep> | undefined {
  const places = [world.recorded.live, world.recorded.config, world.recorded.journal];
  const current = places.every((place) => place === 'unavailable' || shows(place, phase, move.goal));
  return current ? undefined : { kind: 'act', phase, goal: move.goal, step: { name: 'record' } };
}

function shows(stamp: Stamp | undefined, phase: Phase, goal: Goal): boolean {
  return stamp !== undefined && stamp.phase === phase && stamp.goal === goal;
}

/** Nothing but the change of phase. */
export function recordPhase(move: MoveRecord, phase: Phase): Decision<RecordStep> {
  return { kind: 'act', phase, goal: move.goal, step: { name: 'record' } };
}

/** The step that makes the persistent definition agree with `side`, if one is needed. */
export function definitionOn(
  world: World,
  move: MoveRecord,
  phase: Phase,
  side: 'origin' | 'destination',
): Decision | undefined {
  if (move.jobMode === 'undefine' && !world.persistent && world.savedDefinition) {
    return act(world, move, phase, { name: 'restore-definition', on: side });
  }
  const other = side === 'origin' ? 'destination' : 'origin';
  if (world.config === other) return act(world, move, phase, { name: 'fix-definition', on: side });
  return undefined;
}
