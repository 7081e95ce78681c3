// What a step of a migration works on.

import type { MigrationMemory } from '../memory.ts';
import type { MigrationObservation } from '../observe.ts';
import type { Pair } from '../pair.ts';
import type { MigrationRecord } from '../record.ts';
import type { MigrationReport } from '../report.ts';

export interface MigrationScene {
  readonly pair: Pair;
  readonly observation: MigrationObservation;
  /** The record, its phase and goal those of the decision. */
  readonly record: MigrationRecord;
  readonly memory: MigrationMemory;
  /** Aborts when the run is to stop between two steps. */
  readonly signal: AbortSignal;
  /** Says something to the operator. */
  readonly tell: (report: MigrationReport) => void;
  /** Wakes the loop: something that goes on beside it has ended. */
  readonly ring: () => void;
  /** Called after each part of a step that may be the last one before a crash. */
  readonly passed: (what: string) => void;
}
