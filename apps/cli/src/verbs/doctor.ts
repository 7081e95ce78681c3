// blockferry doctor: is this host able? What is missing comes with its remedy.
import { examine } from '@blockferry/engine';
import type { Command } from 'commander';
import { ExitCode } from '../exit-code.ts';
import { checkText } from '../views/human/checks.ts';
import { checkLine } from '../views/json/inventory.ts';
import { lookCommand } from './commands.ts';
import type { Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry doctor
  blockferry -c qemu+ssh://root@host2/system doctor
`;

export const doctor: Verb = {
  configure(command: Command, run) {
    command
      .option('--json', 'one JSON object a line on stdout')
      .addHelpText('after', EXAMPLES)
      .action(({ json = false }: { json?: boolean }) =>
        run((invocation) =>
          lookCommand(invocation, json, async ({ context, session, show }) => {
            const checks = await examine(context, session.here, session.stateDirectory);
            for (const check of checks) show(checkLine(check), () => checkText(check));
            return checks.some(({ status }) => status === 'missing') ? ExitCode.FAILED : ExitCode.DONE;
          }),
        ),
      );
  },
};
