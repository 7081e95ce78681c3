// blockferry pivot: switches the guest to the copy of a move that is held at ready, or will be ready.
import { changeGoal } from '@blockferry/engine';
import type { Command } from 'commander';
import type { ExitCode } from '../exit-code.ts';
import { moveCommand } from './commands.ts';
import { openMoveOf } from './open-move.ts';
import { runToResult } from './run-to-result.ts';
import type { Invocation, Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry move web vda /srv/fast/web.qcow2 --shallow --hold
  blockferry pivot web vda
`;

export const pivot: Verb = {
  configure(command: Command, run) {
    command
      .argument('<domain>', 'name or UUID')
      .argument('[disk]', 'target (vda); needed if several disks are being moved')
      .usage('DOMAIN [DISK] [options]')
      .option('--json', 'one JSON object a line on stdout')
      .addHelpText('after', EXAMPLES)
      .action((domain: string, disk: string | undefined, { json = false }: { json?: boolean }) =>
        run((invocation) => runPivot(invocation, domain, disk, json)),
      );
  },
};

function runPivot(
  invocation: Invocation,
  domain: string,
  disk: string | undefined,
  json: boolean,
): Promise<ExitCode> {
  const { afterStep } = invocation;
  const names = { json, domain, ...(disk !== undefined && { disk }) };
  return moveCommand(invocation, names, async ({ session, context, view, signal, unlessStopped, end }) => {
    const open = await unlessStopped(openMoveOf(context, domain, disk));
    const changed = await changeGoal(context, open, { goal: 'pivot' });
    view.continuing(changed);
    return end(
      await runToResult(session, changed, view, { asked: 'move', recorded: true, signal, afterStep }),
    );
  });
}
