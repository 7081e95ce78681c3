// blockferry status: the open moves, backups and migrations, how far they are, and what to do about each.
import { findMigrations, findTrials, isBackupAtWork, statusOf } from '@blockferry/engine';
import { quoteArgument } from '@blockferry/qemu';
import type { Command } from 'commander';
import { ExitCode } from '../exit-code.ts';
import { trialText } from '../views/human/leftovers.ts';
import { statusText } from '../views/human/status.ts';
import { moveLine } from '../views/json/inventory.ts';
import { trialLine } from '../views/json/leftovers.ts';
import { backupLine, backupStatusText } from '../views/open-backup.ts';
import { lookCommand } from './commands.ts';
import { isPartOf, lookAtMigrations } from './migration/open.ts';
import { showMigrations } from './migration/show.ts';
import { findOpen } from './open-backup.ts';
import type { Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry status               every open move, backup and migration of the connection
  blockferry status web --json
`;

export const status: Verb = {
  configure(command: Command, run) {
    command
      .argument('[domain]', 'name, UUID or id')
      .usage('[DOMAIN] [options]')
      .option('--json', 'one JSON object a line on stdout')
      .addHelpText('after', EXAMPLES)
      .action((domain: string | undefined, { json = false }: { json?: boolean }) =>
        run((invocation) =>
          lookCommand(invocation, json, async ({ context, io, show }) => {
            const looked = await lookAtMigrations(await findMigrations(context, domain));
            await showMigrations(context, looked, show);
            const migrations = looked.records;
            const isKnown = domain === undefined || migrations.length + looked.unclear.length === 0;
            // The domain of a migration may be on the other host by now.
            const found = isKnown
              ? await findOpen(context, domain)
              : { moves: [], backups: [], unreadable: [] };
            const moves = found.moves.filter((move) => !isPartOf(move, migrations));
            const unseen: unknown[] = [...found.unreadable];
            for (const move of moves) {
              try {
                const state = await statusOf(context, move);
                show(moveLine(state), () => statusText(state));
              } catch (error) {
                unseen.push(error);
                if (!json) io.out(`${move.domain.name} ${move.disk}: open; how it stands cannot be seen\n`);
              }
            }
            for (const record of found.backups) {
              const atWork = await isBackupAtWork(context.host, record);
              show(backupLine(record, atWork), () => backupStatusText(record, atWork));
            }
            for (const trial of await findTrials(await context.link.connection(), domain)) {
              const hint = `  → blockferry cleanup ${quoteArgument(trial.name)}\n`;
              show(trialLine(trial, []), () => `${trialText(trial)}${hint}`);
            }
            const others = found.backups.length + migrations.length + looked.unclear.length;
            const open = moves.length + others + unseen.length;
            if (open === 0 && !json) io.out('no move is open\n');
            // Of one that cannot be looked at the others are told all the same.
            if (unseen.length > 0) throw unseen[0];
            return ExitCode.DONE;
          }),
        ),
      );
  },
};
