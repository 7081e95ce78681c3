// Migration of a domain to a host that shares no storage with this one.
export { migrationAtWork } from './at-work.ts';
export { wantHome } from './change-goal.ts';
export { CommitHeld, StepImpossible } from './errors.ts';
export { type FoundMigration, findMigrations, notedMigrations } from './find.ts';
export { mustBeTheHosts, sideOf as sideOfMigration } from './hosts.ts';
export {
  findLeftImages,
  isWhereMigrated,
  type LeftImages,
  migratedFrom,
  removeLeftImages,
} from './left-images.ts';
export {
  findMigrationLeftovers,
  type MigrationLeftover,
  type Reach,
  removeMigrationLeftover,
} from './leftovers.ts';
export type { NewOptions } from './new-options.ts';
export type { OneSide, Pair } from './pair.ts';
export { migrationSteps, type PlannedMigrationStep } from './plan.ts';
export {
  type MigrationPreflight,
  preflightMigration,
} from './preflight/preflight.ts';
export {
  copiesOf,
  type MigratedDisk,
  type MigrationGoal,
  type MigrationOptions,
  type MigrationPhase,
  type MigrationRecord,
  mayHaveRunAway,
} from './record.ts';
export type { MigrationReport } from './report.ts';
export type { MigrationRequest } from './request.ts';
export { type MigrationEnded, type MigrationRunOptions, runMigration } from './run-migration.ts';
export { journalPath as migrationJournalPath, readJournal as readMigrationJournal } from './store.ts';
export { type Whereabouts, whereIs } from './where.ts';
export type {
  MigrationInterruption,
  MigrationOutcome,
  MigrationQuestion,
} from './world.ts';
