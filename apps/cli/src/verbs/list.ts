// blockferry list: the domains, their disks, and the moves that are open.
import { listDomains } from '@blockferry/engine';
import type { Command } from 'commander';
import { ExitCode } from '../exit-code.ts';
import { domainsText } from '../views/human/domains.ts';
import { domainLine } from '../views/json/inventory.ts';
import { formatLine } from '../views/json/lines.ts';
import { lookCommand } from './commands.ts';
import type { Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry list
  blockferry -c qemu+ssh://root@host2/system list --json
`;

export const list: Verb = {
  configure(command: Command, run) {
    command
      .option('--json', 'one JSON object a line on stdout')
      .addHelpText('after', EXAMPLES)
      .action(({ json = false }: { json?: boolean }) =>
        run((invocation) =>
          lookCommand(invocation, json, async ({ context, io }) => {
            const domains = await listDomains(context);
            if (json) for (const domain of domains) io.out(formatLine(domainLine(domain)));
            else io.out(domainsText(domains));
            return ExitCode.DONE;
          }),
        ),
      );
  },
};
