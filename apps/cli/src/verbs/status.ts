// blockferry status: the open moves and backups, how far they are, and what to do about each.
import { statusOf } from '@blockferry/engine';
import type { Command } from 'commander';
import { ExitCode } from '../exit-code.ts';
import { statusText } from '../views/human/status.ts';
import { moveLine } from '../views/json/inventory.ts';
import { backupLine, backupStatusText } from '../views/open-backup.ts';
import { lookCommand } from './commands.ts';
import { findOpen } from './open-backup.ts';
import type { Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry status               every open move of the connection
  blockferry status web --json
`;

export const status: Verb = {
  configure(command: Command, run) {
    command
      .argument('[domain]', 'name or UUID')
      .usage('[DOMAIN] [options]')
      .option('--json', 'one JSON object a line on stdout')
      .addHelpText('after', EXAMPLES)
      .action((domain: string | undefined, { json = false }: { json?: boolean }) =>
        run((invocation) =>
          lookCommand(invocation, json, async ({ context, io, show }) => {
            const { moves, backups } = await findOpen(context, domain);
            for (const move of moves) {
              const found = await statusOf(context, move);
              show(moveLine(found), () => statusText(found));
            }
            for (const record of backups) show(backupLine(record), () => backupStatusText(record));
            if (moves.length === 0 && backups.length === 0 && !json) io.out('no move is open\n');
            return ExitCode.DONE;
          }),
        ),
      );
  },
};
