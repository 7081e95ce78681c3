// blockferry chain: the backing chains of a domain's disks, with sizes and whoever else uses the images.
import { inspectChains } from '@blockferry/engine';
import type { Command } from 'commander';
import { ExitCode } from '../exit-code.ts';
import { chainText } from '../views/human/chain.ts';
import { chainLine } from '../views/json/inventory.ts';
import { lookCommand } from './commands.ts';
import type { Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry chain web            every disk
  blockferry chain web vda
`;

export const chain: Verb = {
  configure(command: Command, run) {
    command
      .argument('<domain>', 'name or UUID')
      .argument('[disk]', 'target (vda), or the path of its image')
      .usage('DOMAIN [DISK] [options]')
      .option('--json', 'one JSON object a line on stdout')
      .addHelpText('after', EXAMPLES)
      .action((domain: string, disk: string | undefined, { json = false }: { json?: boolean }) =>
        run((invocation) =>
          lookCommand(invocation, json, async ({ context, show }) => {
            for (const report of await inspectChains(context, domain, disk)) {
              show(chainLine(report), () => chainText(report));
            }
            return ExitCode.DONE;
          }),
        ),
      );
  },
};
