// Runs a migration to its end, shows it, and makes the result of it: shared by migrate, resume and abort.
import {
  type MigrationRecord,
  type NewOptions,
  type Pair,
  Refusal,
  runMigration,
  StepImpossible,
  whereIs,
} from '@blockferry/engine';
import type { ExitCode } from '../../exit-code.ts';
import { explain } from '../../outcome/explain.ts';
import {
  type Asked,
  bareMigration,
  commandsOf,
  judgeMigration,
  type MigrationResult,
  partsOf,
} from '../../outcome/migration.ts';
import type { MigrationView } from '../../views/migration-view.ts';

export interface RunMigration {
  readonly asked: Asked;
  readonly signal: AbortSignal;
  readonly afterStep: ((step: string) => void) | undefined;
  /** The record stands already. */
  readonly recorded: boolean;
  /** Whoever carries it out was told to take it home, and is waited for. */
  readonly waits?: boolean;
  readonly newOptions?: NewOptions;
  /** How the operator said that the other host is reached. */
  readonly peer?: string | undefined;
}

/** Never throws for what becomes of the migration: that is in the result, which the view has shown. */
export async function migrateToResult(
  pair: Pair,
  record: MigrationRecord,
  view: MigrationView,
  options: RunMigration,
): Promise<ExitCode> {
  let { recorded } = options;
  const end = (result: MigrationResult): ExitCode => {
    view.result(result);
    return result.exitCode;
  };
  try {
    const ended = await runMigration(pair, record, {
      recorded,
      ...(options.waits !== undefined && { waits: options.waits }),
      ...(options.newOptions !== undefined && { newOptions: options.newOptions }),
      signal: options.signal,
      report: (report) => {
        if (report.type === 'step') recorded = true;
        view.report(report);
      },
      ...(options.afterStep && { afterStep: options.afterStep }),
    });
    const where = await whereIs(pair, ended.record).catch(() => undefined);
    return end(judgeMigration(ended, options.asked, where, options.peer));
  } catch (error) {
    const { outcome, exitCode, error: words } = explain(error, recorded);
    const { resume, undo } = commandsOf(record, options.peer);
    const code = error instanceof StepImpossible ? `step-${error.step}` : words.code;
    const message = error instanceof StepImpossible ? error.message : words.message;
    const hint =
      recorded && !(error instanceof Refusal)
        ? [...(words.hint === undefined ? [] : [words.hint]), `go on: ${resume}`, `undo: ${undo}`].join('\n')
        : words.hint;
    return end(bareMigration(outcome, exitCode, { ...partsOf(record), error: { code, message, hint } }));
  }
}
