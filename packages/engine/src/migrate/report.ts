// What a migration says while it runs.
import type { ProgressReport } from '../run/report.ts';
import type { MigrationGoal, MigrationPhase } from './record.ts';
import type { MigrationWait } from './world.ts';

export type MigrationReport =
  | { readonly type: 'phase'; readonly phase: MigrationPhase; readonly goal: MigrationGoal }
  | { readonly type: 'step'; readonly step: string }
  | ProgressReport
  | { readonly type: 'waiting'; readonly wait: MigrationWait }
  | { readonly type: 'warning'; readonly code: string; readonly message: string };
