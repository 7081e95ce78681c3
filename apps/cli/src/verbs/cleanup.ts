// blockferry cleanup: removes what moves and restores that ended badly left behind, and nothing that is not provably that.
import {
  findLeftovers,
  findRestoreRemains,
  type Leftover,
  type RestoreRemains,
  removeLeftover,
  removeRestoreRemains,
} from '@blockferry/engine';
import type { Command } from 'commander';
import { UsageError } from '../arguments/usage-error.ts';
import { ExitCode } from '../exit-code.ts';
import { leftoverText, remainsText } from '../views/human/leftovers.ts';
import { leftoverLine, remainsLine } from '../views/json/inventory.ts';
import { type LookTools, lookCommand } from './commands.ts';
import type { Invocation, Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry cleanup web                        by our notes of web's moves
  blockferry cleanup /srv/fast                  every journal in a directory
  blockferry cleanup /srv/fast/web.qcow2 --yes

Only a file that one of our journals claims by device and inode, whose move is open nowhere, and that no
definition uses is removed. An open move is undone with blockferry abort.
`;

interface CleanupOptions {
  readonly yes?: boolean;
  readonly json?: boolean;
}

export const cleanup: Verb = {
  configure(command: Command, run) {
    command
      .argument('<domain-or-path>', 'a domain; or a destination, its journal, or a directory')
      .usage('DOMAIN|PATH [options]')
      .option('-y, --yes', 'do not ask')
      .option('--json', 'one JSON object a line on stdout')
      .addHelpText('after', EXAMPLES)
      .action((target: string, options: CleanupOptions) =>
        run((invocation) => runCleanup(invocation, target, options)),
      );
  },
};

function runCleanup(
  invocation: Invocation,
  target: string,
  { yes = false, json = false }: CleanupOptions,
): Promise<ExitCode> {
  return lookCommand(invocation, json, async (tools) => {
    const found = await findLeftovers(tools.context, target);
    const restores = target.includes('/') ? await findRestoreRemains(tools.context, target) : [];
    if (found.length + restores.length === 0 && !json) tools.io.out('nothing is left behind there\n');
    if (!json) for (const leftover of found) tools.io.out(leftoverText(leftover));
    if (!json) for (const remains of restores) tools.io.out(remainsText(remains));
    const removable = restores.length > 0 || found.some(({ verdict }) => verdict.kind !== 'keep');
    if (removable && !yes && !(await agreed(tools, json))) {
      if (json) for (const leftover of found) tools.show(leftoverLine(leftover, []), () => '');
      if (json) for (const remains of restores) tools.show(remainsLine(remains, []), () => '');
      return ExitCode.DONE;
    }
    for (const leftover of found) await remove(tools, leftover);
    for (const remains of restores) await removeRestored(tools, remains);
    return ExitCode.DONE;
  });
}

async function agreed({ io }: LookTools, json: boolean): Promise<boolean> {
  if (json || !io.canAsk) throw new UsageError('nothing was removed: nobody can be asked here', 'give --yes');
  const answer = await io.ask('Remove these? [y/N] ');
  return /^y(es)?$/i.test(answer?.trim() ?? '');
}

async function remove({ context, show }: LookTools, leftover: Leftover): Promise<void> {
  const removed = await removeLeftover(context, leftover);
  show(leftoverLine(leftover, removed), () => removed.map((path) => `removed ${path}\n`).join(''));
}

async function removeRestored({ context, show }: LookTools, remains: RestoreRemains): Promise<void> {
  const removed = await removeRestoreRemains(context, remains);
  show(remainsLine(remains, removed), () => removed.map((path) => `removed ${path}\n`).join(''));
}
