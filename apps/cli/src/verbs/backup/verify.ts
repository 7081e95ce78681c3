// blockferry backup verify: are the points in a directory what was written, and complete?
import { checkPoints, choosePoint, readPoints } from '@blockferry/engine';
import type { Command } from 'commander';
import { pathOnHost } from '../../arguments/path-on-host.ts';
import { ExitCode } from '../../exit-code.ts';
import { type BackupTools, backupCommand } from '../run-backup.ts';
import type { Run } from '../verb.ts';

const EXAMPLES = `
Examples:
  blockferry backup verify /backup/web                                    every point
  blockferry backup verify /backup/web --point 2026-11-28T15-00-00Z-full

Reads everything past the page cache: sizes and SHA-256 as the manifests have them, backing files, qemu-img check.
Exit status: 0 all good, 1 if one is not.
`;

interface VerifyFlags {
  readonly point?: string;
  readonly json?: boolean;
}

export function configureVerify(backup: Command, run: Run): void {
  backup
    .command('verify')
    .description('check backups: sizes, SHA-256, chains')
    .argument('<dir>', 'a directory of backups')
    .usage('DIR [options]')
    .option('--point <name>', 'this one, and what it stands on; default: all')
    .option('--json', 'one JSON object a line on stdout')
    .addHelpText('after', EXAMPLES)
    .action((dir: string, _: unknown, command: Command) =>
      run((invocation) => {
        // `--verify` and others of `backup` itself are none of these.
        const { point, json = false } = command.optsWithGlobals<VerifyFlags>();
        return backupCommand(invocation, json, (tools) => runVerify(tools, dir, point));
      }),
    );
}

async function runVerify(
  { host, view, signal }: BackupTools,
  dir: string,
  point: string | undefined,
): Promise<ExitCode> {
  const directory = pathOnHost(host, dir);
  const points = await readPoints(host, directory);
  const names =
    point === undefined ? points.map(({ name }) => name) : [choosePoint(points, directory, point)[0].point];
  const options = { signal, report: (report: Parameters<typeof view.report>[0]) => view.report(report) };
  const checked = await checkPoints(host, directory, points, names, options);
  const exitCode = checked.every(({ problems }) => problems.length === 0) ? ExitCode.DONE : ExitCode.FAILED;
  view.checked(checked, exitCode);
  return exitCode;
}
