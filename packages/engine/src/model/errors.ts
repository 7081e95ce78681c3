// The engine's own errors: values with a code, facts, a hint and a cause. The command line turns them into words.
import type { StepName } from './decision.ts';

export type Facts = Readonly<
  Record<string, string | number | bigint | boolean | readonly string[] | undefined>
>;

/** Preflight says no. Nothing was touched. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  /** Stable, in kebab case; documented in docs/. */
  readonly code: string;
  readonly facts: Facts;
  /** What to do about it. */
  readonly hint: string | undefined;

  constructor(code: string, message: string, facts: Facts = {}, hint?: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.facts = facts;
    this.hint = hint;
  }
}

/** A step could not be carried out. The record stands, so `resume` and `abort` go on from the same place. */
export class StepFailed extends Error {
  override readonly name = 'StepFailed';
  readonly step: StepName;

  constructor(step: StepName, message: string, options?: ErrorOptions) {
    super(message, options);
    this.step = step;
  }
}

/** The domain was started between two questions of one look: their answers do not go together. Look again. */
export class StartedMeanwhile extends Error {
  override readonly name = 'StartedMeanwhile';
}

/** The words of any error, for a reason or a warning. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
