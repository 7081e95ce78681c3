// blockferry restore: a point of a backup as a domain, new or in the place of one that is off.
import {
  finishedBefore,
  preflightRestore,
  type RestoreAs,
  type RestoreRequest,
  restore as restorePoint,
} from '@blockferry/engine';
import type { Command } from 'commander';
import { pathOnHost } from '../arguments/path-on-host.ts';
import { UsageError } from '../arguments/usage-error.ts';
import { ExitCode } from '../exit-code.ts';
import { bareResult } from '../outcome/result.ts';
import { orInterrupted } from '../terminal/interrupt.ts';
import { addDryRun, type DryRunOption } from './dry-run.ts';
import { DECLINED } from './may-delete.ts';
import { type BackupTools, backupCommand } from './run-backup.ts';
import type { Invocation, Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry restore /backup/web --name web-restored --to /images
      the newest point, as another domain: a UUID and MACs of its own
  blockferry restore /backup/web --point 2026-11-28T15-00-00Z-incremental --over
      web as it was then; web must be off. The images that it leaves are kept
  blockferry restore /backup/web
      web, which is gone

Every file of the point and of those that it stands on is checked first (SHA-256), each disk becomes one image, which is
compared with the point, and only then the domain is defined. Nothing that is there is overwritten.
`;

interface RestoreFlags extends DryRunOption {
  readonly point?: string;
  readonly name?: string;
  readonly over?: boolean;
  readonly to?: string;
  readonly yes?: boolean;
  readonly json?: boolean;
}

export const restore: Verb = {
  configure(command: Command, run) {
    addDryRun(command)
      .argument('<dir>', 'a directory of backups')
      .usage('DIR [--name NAME | --over] [options]')
      .option('--point <name>', 'default: the newest (see blockferry backup list DIR)')
      .option('--name <name>', 'as another domain, with this name')
      .option('--over', 'in the place of the domain, which must be off')
      .option('--to <dir>', 'where the images go; default: where those of the domain were')
      .option('-y, --yes', 'do not ask')
      .option('--json', 'one JSON object a line on stdout')
      .addHelpText('after', EXAMPLES)
      .action((dir: string, flags: RestoreFlags) =>
        run((invocation) =>
          backupCommand(invocation, flags.json ?? false, (tools) =>
            runRestore(tools, invocation, dir, flags),
          ),
        ),
      );
  },
};

async function runRestore(
  { context, host, view, signal }: BackupTools,
  { io, afterStep }: Invocation,
  dir: string,
  flags: RestoreFlags,
): Promise<ExitCode> {
  const request: RestoreRequest = {
    directory: pathOnHost(host, dir),
    as: asWhat(flags),
    ...(flags.point !== undefined && { point: flags.point }),
    ...(flags.to !== undefined && { to: pathOnHost(host, flags.to) }),
  };
  const options = {
    signal,
    report: (report: Parameters<typeof view.report>[0]) => view.report(report),
    ...(afterStep && { afterStep: (step: string) => afterStep(step as Parameters<typeof afterStep>[0]) }),
  };
  const complete = await orInterrupted(finishedBefore(context, request), signal);
  if (complete !== undefined) {
    view.restored(complete);
    return ExitCode.DONE;
  }
  const plan = await orInterrupted(preflightRestore(context, request), signal);
  view.restorePlan(plan);
  if (flags.dryRun) return ExitCode.DONE;
  const asks = request.as.kind === 'over' && !flags.yes && !flags.json && io.canAsk;
  if (
    asks &&
    !/^y(es)?$/i.test((await io.ask(`Replace the definition of ${plan.plan.name}? [y/N] `))?.trim() ?? '')
  ) {
    view.failed(bareResult('refused', ExitCode.REFUSED, { error: DECLINED }));
    return ExitCode.REFUSED;
  }
  view.restored(await restorePoint(context, request, options));
  return ExitCode.DONE;
}

/** @throws UsageError */
function asWhat({ name, over = false }: RestoreFlags): RestoreAs {
  if (name !== undefined && over) throw new UsageError('--name makes another domain, --over replaces one');
  if (name === '') throw new UsageError('--name: a domain has a name');
  if (name !== undefined) return { kind: 'new', name };
  return { kind: over ? 'over' : 'original' };
}
