// Public surface of this package.
export * from './backup/index.ts';
export * from './guard/index.ts';
export * from './inside/index.ts';
export * from './inspect/index.ts';
export type { LayersSummary } from './layered/summary.ts';
export * from './migrate/index.ts';
export { fileBeside } from './model/beside.ts';
export type {
  Interruption,
  LayeredStep,
  Outcome,
  Question,
  ShortenStep,
  Step,
  StepName,
  Wait,
} from './model/decision.ts';
export { type Facts, messageOf, Refusal, StepFailed } from './model/errors.ts';
export { type GuardBound, ratioOf } from './model/guard-bound.ts';
export type {
  CopyOptions,
  CopyPart,
  Goal,
  GroupPart,
  ImageRef,
  JobMode,
  Layer,
  LayeredPart,
  MoveRecord,
  Ownership,
  Phase,
  Quiesce,
  Scope,
  ShortenPart,
} from './model/record.ts';
export { allLayers, filesMadeBy, overlaysOf, sidesOf } from './model/rounds.ts';
export { formatBytes } from './model/sizes.ts';
export { undoCommand } from './model/undo-command.ts';
export { type Bytes, type BytesPerSecond, type Millis, unreachable } from './model/units.ts';
export { type Definitions, jobOf, readDefinitions, sideOf } from './observe/definitions.ts';
export { readUsage, type Usage, type Use, usesOf } from './observe/usage.ts';
export { type Plan, planOf, shortenPlanOf } from './plan/plan.ts';
export type { PlannedStep } from './plan/planned-step.ts';
export { type CopiesRequest, preflightCopies } from './preflight/copies.ts';
export {
  type DisksTo,
  type DiskTo,
  disksToMove,
  type GroupPreflight,
  type GroupRequest,
  preflightGroup,
} from './preflight/group.ts';
export { type Preflight, preflight } from './preflight/preflight.ts';
export type { MoveRequest, NameOf } from './preflight/request.ts';
export { preflightShorten } from './preflight/shorten.ts';
export type { Commit, Pull, ShortenRequest } from './preflight/shorten-request.ts';
export { findBootDisk, findDisk, findDomain } from './preflight/situation.ts';
export { underWay } from './preflight/under-way.ts';
export type { Warning } from './preflight/warning.ts';
export { destinationOfJournal, journalPathFor, readJournal } from './record/journal.ts';
export { type MigrationNote, OpenMoves, stateDirectory } from './record/open-moves.ts';
export { RecordUnreadable } from './record/serialise.ts';
export type { Verdict } from './record/verdict.ts';
export * from './restore/index.ts';
export { TakenOver } from './run/at-work.ts';
export { type Change, changeGoal } from './run/change-goal.ts';
export type { Context } from './run/context.ts';
export { type CopiedDisk, type CopiedImage, copiedDisk } from './run/copied-disk.ts';
export type { Ended, RunOptions } from './run/disk-run.ts';
export { findAllMoves, findMoves, togetherWith } from './run/find-moves.ts';
export { isLinkLost, Link } from './run/link.ts';
export type { ProgressReport, Report } from './run/report.ts';
export { type GroupEnded, type GroupRunOptions, runGroup } from './run/run-group.ts';
export { runMove } from './run/run-move.ts';
export { chainOn, switches } from './shorten/chain.ts';
export { secretOf } from './storage/passphrase.ts';
export { toImage, toLocation, toSource } from './storage/to-image.ts';
export * from './verify/index.ts';
