// blockferry resume: goes on with moves, backups and migrations that were interrupted, whoever began them and from wherever.
import { type MoveRecord, togetherWith } from '@blockferry/engine';
import type { Command } from 'commander';
import { UsageError } from '../arguments/usage-error.ts';
import { ExitCode } from '../exit-code.ts';
import { explain } from '../outcome/explain.ts';
import { bareResult } from '../outcome/result.ts';
import { type MoveTools, moveCommand } from './commands.ts';
import { resumeMigrations, unlessMigrating } from './migration/open.ts';
import { findOpen, type Open, resumeBackups, worse } from './open-backup.ts';
import { answer } from './open-move.ts';
import { runOpen } from './run-open.ts';
import type { Invocation, Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry resume web                        go on with every open move of web, with its backup or its migration
  blockferry resume --all                      of every domain, say after the host came back
  blockferry resume web --use destination      answer which image is the truth (exit code 5)
`;

interface ResumeOptions {
  readonly all?: boolean;
  readonly use?: string;
  readonly peer?: string;
  readonly json?: boolean;
}

export const resume: Verb = {
  configure(command: Command, run) {
    command
      .argument('[domain]', 'name, UUID or id')
      .usage('DOMAIN|--all [options]')
      .option('--all', 'every open move, backup and migration of the connection')
      .option('--use <side>', 'source or destination: which image is the truth, when only a person can tell')
      .option('--peer <uri>', 'the other host of a migration, if it is reached otherwise from here')
      .option('--json', 'one JSON object a line on stdout')
      .addHelpText('after', EXAMPLES)
      .action((domain: string | undefined, options: ResumeOptions) =>
        run((invocation) => runResume(invocation, domain, options)),
      );
  },
};

function runResume(
  invocation: Invocation,
  domain: string | undefined,
  options: ResumeOptions,
): Promise<ExitCode> {
  const { json = false, peer } = options;
  const moves = () => resumeMoves(invocation, domain, options);
  // The answer to a question about one disk of a migration is for the commit that asks it.
  const isUnclear = (domain === undefined) === !options.all;
  if (options.use !== undefined || isUnclear) return moves();
  if (domain === undefined) return resumeAll(invocation, json, moves);
  return unlessMigrating(invocation, { domain, json, asked: 'away', peer }, moves);
}

/** Migrations first: a move that is part of one ends with it. The highest exit code counts. */
async function resumeAll(
  invocation: Invocation,
  json: boolean,
  moves: () => Promise<ExitCode>,
): Promise<ExitCode> {
  const migrated = await resumeMigrations(invocation, json);
  if (migrated.stopped) return migrated.worst;
  return worse(migrated.worst, await moves());
}

function resumeMoves(
  invocation: Invocation,
  domain: string | undefined,
  options: ResumeOptions,
): Promise<ExitCode> {
  const { json = false } = options;
  return moveCommand(invocation, { json, ...(domain !== undefined && { domain }) }, async (tools) => {
    const use = sideOf(options.use);
    if ((domain === undefined) === !options.all) throw new UsageError('name a domain, or give --all');
    if (use !== undefined && domain === undefined)
      throw new UsageError('--use is for one domain, not for --all');
    const { moves, backups, unreadable } = await tools.unlessStopped(findOpen(tools.context, domain));
    if (moves.length + backups.length + unreadable.length === 0) return nothingOpen(tools, domain);
    const ofMoves = await resumeEach(tools, moves, use, invocation);
    if (tools.signal.aborted) return ofMoves;
    const ofBackups = await resumeBackups(tools, backups, { use, json }, invocation);
    return worse(worse(ofMoves, ofBackups), tellUnreadable(tools, unreadable));
  });
}

/** One after the other: bulk copies side by side would only take each other's bandwidth. */
async function resumeEach(
  { session, context, view, signal, end }: MoveTools,
  open: readonly MoveRecord[],
  use: 'source' | 'destination' | undefined,
  { afterStep }: Invocation,
): Promise<ExitCode> {
  let worst: ExitCode = ExitCode.DONE;
  for (const found of togetherWith(open)) {
    const moves = use === undefined ? found : await answer(context, found, use);
    const asked = moves.some(({ goal }) => goal === 'abort') ? 'abort' : 'move';
    const exitCode = end(await runOpen(session, moves, view, { asked, recorded: true, signal, afterStep }));
    if (exitCode > worst) worst = exitCode;
    if (signal.aborted) break;
  }
  return worst;
}

function tellUnreadable({ end }: MoveTools, [first]: Open['unreadable']): ExitCode {
  return first === undefined
    ? ExitCode.DONE
    : end(bareResult('failed', ExitCode.FAILED, { error: explain(first).error }));
}

function nothingOpen({ end }: MoveTools, domain: string | undefined): ExitCode {
  return end(bareResult('nothing', ExitCode.DONE, { domain }));
}

function sideOf(text: string | undefined): 'source' | 'destination' | undefined {
  if (text === undefined || text === 'source' || text === 'destination') return text;
  throw new UsageError(`--use ${text}: source or destination`);
}
