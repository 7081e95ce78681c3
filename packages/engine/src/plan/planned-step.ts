// One line of a plan.
import type { StepName } from '../model/decision.ts';

export interface PlannedStep {
  readonly step: StepName;
  readonly what: string;
  /** What stands if everything stops right after it. */
  readonly leaves: string;
}
