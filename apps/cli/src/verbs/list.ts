// blockferry list: the domains, their disks, and the moves and migrations that are open.
import { type Context, type DomainSummary, listDomains, notedMigrations } from '@blockferry/engine';
import type { Command } from 'commander';
import { ExitCode } from '../exit-code.ts';
import { domainsText } from '../views/human/domains.ts';
import { domainLine } from '../views/json/inventory.ts';
import { formatLine } from '../views/json/lines.ts';
import { lookCommand } from './commands.ts';
import { type LookedAtMigrations, lookAtMigrations } from './migration/open.ts';
import { showMigrations } from './migration/show.ts';
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
          lookCommand(invocation, json, async ({ context, io, show }) => {
            const domains = await listDomains(context);
            if (json) for (const domain of domains) io.out(formatLine(domainLine(domain)));
            else io.out(domainsText(domains));
            await showMigrations(context, await migrationsOf(context, domains), show);
            return ExitCode.DONE;
          }),
        ),
      );
  },
};

/** Those of the domains that are here, and those from or to this host whose domain is on the other now. */
async function migrationsOf(
  context: Context,
  domains: readonly DomainSummary[],
): Promise<LookedAtMigrations> {
  const here = domains.filter(({ migration }) => migration !== undefined);
  const notes = await notedMigrations(context);
  return lookAtMigrations([
    ...here.flatMap(({ migration: record }) =>
      typeof record === 'object' ? [{ kind: 'record' as const, record }] : [],
    ),
    ...notes
      .filter(({ domain }) => !here.some(({ uuid }) => uuid === domain.uuid))
      .map((note) => ({ kind: 'note' as const, note })),
  ]);
}
