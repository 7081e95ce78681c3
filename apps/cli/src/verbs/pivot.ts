// blockferry pivot: switches the guest to the copy of a move that is held at ready, or will be ready.
import type { Command } from 'commander';
import type { ExitCode } from '../exit-code.ts';
import { moveCommand } from './commands.ts';
import { changeGoals, openMovesOf } from './open-move.ts';
import { runOpen } from './run-open.ts';
import type { Invocation, Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry move web vda /srv/fast/web.qcow2 --shallow --hold
  blockferry pivot web vda
`;

export const pivot: Verb = {
  configure(command: Command, run) {
    command
      .argument('<domain>', 'name, UUID or id')
      .argument('[disk]', 'target (vda); needed if several disks are being moved, but not as one')
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
    const open = await unlessStopped(openMovesOf(context, domain, disk));
    const changed = await changeGoals(context, open, { goal: 'pivot' });
    const how = { asked: 'move', recorded: true, waits: true, signal, afterStep } as const;
    return end(await runOpen(session, changed, view, how));
  });
}
