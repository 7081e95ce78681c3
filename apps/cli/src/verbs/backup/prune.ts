// blockferry backup prune: removes the points that nobody wants and nothing stands on.
import { foreseePrune, prune, type Retention } from '@blockferry/engine';
import type { Command } from 'commander';
import { pathOnHost } from '../../arguments/path-on-host.ts';
import { UsageError } from '../../arguments/usage-error.ts';
import { ExitCode } from '../../exit-code.ts';
import { pruneLines, pruneText } from '../../views/points.ts';
import { type LookTools, lookCommand } from '../commands.ts';
import { toolsOf } from '../run-backup.ts';
import type { Run } from '../verb.ts';

const EXAMPLES = `
Examples:
  blockferry backup prune /backup/web --keep-last 7
  blockferry backup prune /backup/web --keep-daily 7 --keep-weekly 4 --keep-monthly 12 --yes
  blockferry backup prune /backup/web --keep-last 1 --dry-run

Of each day, week, month or year that has any, the newest is kept; and always the newest of all, and what those stand on
that are kept. Backups that were never finished go.
`;

interface PruneFlags {
  readonly keepLast?: string;
  readonly keepDaily?: string;
  readonly keepWeekly?: string;
  readonly keepMonthly?: string;
  readonly keepYearly?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
}

export function configurePrune(backup: Command, run: Run): void {
  backup
    .command('prune')
    .description('remove old backups')
    .argument('<dir>', 'a directory of backups')
    .usage('DIR --keep-… N [options]')
    .option('--keep-last <n>', 'the newest N')
    .option('--keep-daily <n>', 'the newest of each of N days')
    .option('--keep-weekly <n>', 'the newest of each of N weeks')
    .option('--keep-monthly <n>', 'the newest of each of N months')
    .option('--keep-yearly <n>', 'the newest of each of N years')
    .option('--dry-run', 'say what would go')
    .option('-y, --yes', 'do not ask')
    .option('--json', 'one JSON object a line on stdout')
    .addHelpText('after', EXAMPLES)
    .action((dir: string, _: unknown, command: Command) =>
      run((invocation) => {
        const flags = command.optsWithGlobals<PruneFlags>();
        return lookCommand(invocation, flags.json ?? false, (tools) => runPrune(tools, dir, flags));
      }),
    );
}

async function runPrune({ context, io, show }: LookTools, dir: string, flags: PruneFlags): Promise<ExitCode> {
  const { json = false, dryRun = false, yes = false } = flags;
  const retention = retentionOf(flags);
  const host = toolsOf(context);
  const directory = pathOnHost(host, dir);
  const sorted = await foreseePrune(host, directory, retention);
  if (!json) io.out(pruneText(sorted));
  const isAgreed = yes || sorted.remove.length === 0 || dryRun || (await agreed(io, json));
  const removes = isAgreed && !dryRun;
  if (removes) await prune(host, directory, sorted, (name) => json || io.out(`removed ${name}\n`));
  for (const line of json ? pruneLines(sorted, removes) : []) show(line, () => '');
  return ExitCode.DONE;
}

async function agreed(io: LookTools['io'], json: boolean): Promise<boolean> {
  if (json || !io.canAsk) throw new UsageError('nothing was removed: nobody can be asked here', 'give --yes');
  return /^y(es)?$/i.test((await io.ask('Remove these? [y/N] '))?.trim() ?? '');
}

/** @throws UsageError */
function retentionOf({ keepLast, keepDaily, keepWeekly, keepMonthly, keepYearly }: PruneFlags): Retention {
  const retention = {
    ...count('last', keepLast),
    ...count('daily', keepDaily),
    ...count('weekly', keepWeekly),
    ...count('monthly', keepMonthly),
    ...count('yearly', keepYearly),
  };
  if (Object.keys(retention).length > 0) return retention;
  throw new UsageError('say what is to be kept', '--keep-last 7, for example');
}

function count(rule: keyof Retention, text: string | undefined): Retention {
  if (text === undefined) return {};
  if (/^[1-9]\d{0,5}$/.test(text)) return { [rule]: Number(text) };
  throw new UsageError(`--keep-${rule} ${text}: a number from 1 on`);
}
