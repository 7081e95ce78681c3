// blockferry status: the open moves and migrations, how far they are, and what to do about each.
import { type Context, findAllMoves, findMoves, type MoveRecord, statusOf } from '@blockferry/engine';
import type { Command } from 'commander';
import { ExitCode } from '../exit-code.ts';
import { migrationText } from '../views/human/migration.ts';
import { statusText } from '../views/human/status.ts';
import { moveLine } from '../views/json/inventory.ts';
import { migrationLine } from '../views/migration-view.ts';
import { lookCommand } from './commands.ts';
import { isPartOf, openMigrations } from './migration/open.ts';
import type { Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry status               every open move of the connection
  blockferry status web --json
`;

function openMoves(context: Context, domain: string | undefined): Promise<MoveRecord[]> {
  return domain === undefined ? findAllMoves(context) : findMoves(context, domain);
}

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
            const migrations = await openMigrations(context, domain);
            for (const record of migrations) show(migrationLine(record), () => migrationText(record));
            const isKnown = domain === undefined || migrations.length === 0;
            // The domain of a migration may be on the other host by now.
            const moves = isKnown ? await openMoves(context, domain) : [];
            const open = moves.filter((move) => !isPartOf(move, migrations));
            for (const move of open) {
              const found = await statusOf(context, move);
              show(moveLine(found), () => statusText(found));
            }
            if (open.length + migrations.length === 0 && !json) io.out('no move is open\n');
            return ExitCode.DONE;
          }),
        ),
      );
  },
};
