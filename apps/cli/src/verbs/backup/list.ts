// blockferry backup list: the points in a directory of backups, and which of them can be used.
import { readPoints } from '@blockferry/engine';
import type { Command } from 'commander';
import { pathOnHost } from '../../arguments/path-on-host.ts';
import { ExitCode } from '../../exit-code.ts';
import { pointLine, pointsText } from '../../views/points.ts';
import { lookCommand } from '../commands.ts';
import { toolsOf } from '../run-backup.ts';
import type { Run } from '../verb.ts';

const EXAMPLES = `
Examples:
  blockferry backup list /backup/web
  blockferry backup list /backup/web --json
`;

export function configureList(backup: Command, run: Run): void {
  backup
    .command('list')
    .description('the backups in a directory')
    .argument('<dir>', 'a directory of backups')
    .usage('DIR [options]')
    .option('--json', 'one JSON object a line on stdout')
    .addHelpText('after', EXAMPLES)
    .action((dir: string, _: unknown, command: Command) =>
      run((invocation) => {
        const { json = false } = command.optsWithGlobals<{ json?: boolean }>();
        return lookCommand(invocation, json, async ({ context, io, show }) => {
          const host = toolsOf(context);
          const directory = pathOnHost(host, dir);
          const points = await readPoints(host, directory);
          if (!json) io.out(pointsText(points, directory));
          else for (const point of points) show(pointLine(point, points), () => '');
          return ExitCode.DONE;
        });
      }),
    );
}
