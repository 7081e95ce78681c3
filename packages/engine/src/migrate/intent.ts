// Intent before act: a step is decided only when every place of the record shows the phase that it belongs to.
import type { MigrationPhase, MigrationRecord } from './record.ts';
import type { MigrationDecision, MigrationStep, MigrationWorld } from './world.ts';

/** The step, or first the write of the record that it belongs to. */
export function act(
  { recorded }: Pick<MigrationWorld, 'recorded'>,
  { goal }: MigrationRecord,
  phase: MigrationPhase,
  step: MigrationStep,
): MigrationDecision {
  const shown = recorded !== 'not-everywhere' && recorded.phase === phase && recorded.goal === goal;
  return { kind: 'act', phase, goal, step: shown ? step : { name: 'record' } };
}
