// blockferry cleanup: removes what moves, migrations and restores that ended badly left behind, and nothing that is not
// provably that.
import { findDomain, Refusal } from '@blockferry/engine';
import { quoteArgument } from '@blockferry/qemu';
import type { Command } from 'commander';
import { pathOnHost } from '../arguments/path-on-host.ts';
import { UsageError } from '../arguments/usage-error.ts';
import { ExitCode } from '../exit-code.ts';
import { type Finding, findAllLeft } from './cleanup/findings.ts';
import { type LookTools, lookCommand } from './commands.ts';
import type { Invocation, Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry cleanup web                        by our notes of web's moves and migrations
  blockferry cleanup /srv/fast                  every journal in a directory
  blockferry cleanup /srv/fast/web.qcow2 --yes
  blockferry cleanup web --delete-source        the images too that web left here when it was migrated

Only a file that one of our journals claims by device and inode, whose move or migration is open nowhere, and that no
definition uses is removed. What is open is undone with blockferry abort.
`;

interface CleanupOptions {
  readonly deleteSource?: boolean;
  readonly peer?: string;
  readonly yes?: boolean;
  readonly json?: boolean;
}

export const cleanup: Verb = {
  configure(command: Command, run) {
    command
      .argument('<domain-or-path>', 'a domain; or a destination, its journal, or a directory')
      .usage('DOMAIN|PATH [options]')
      .option(
        '--delete-source',
        'remove the images too that a domain left when it was migrated to another host',
      )
      .option('--peer <uri>', 'the other host of a migration, if it is reached otherwise from here')
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
  given: string,
  { yes = false, json = false, deleteSource = false, peer }: CleanupOptions,
): Promise<ExitCode> {
  return lookCommand(invocation, json, async (tools) => {
    const isPath = given.includes('/') || given === '.' || given === '..';
    const target = isPath ? pathOnHost(tools.context.host, given) : given;
    await using left = await findAllLeft(tools.context, target, { deleteSource, peer });
    const { findings } = left;
    if (findings.length === 0 && !json) tools.io.out(`${await nothingWords(tools, target)}\n`);
    if (!json) for (const { text } of findings) tools.io.out(text);
    const removable = findings.some((finding) => finding.removable);
    const goes = !removable || yes || (await agreed(tools, json));
    if (goes) for (const finding of findings) await remove(tools, finding);
    else if (json) for (const { line } of findings) tools.show(line([]), () => '');
    return ExitCode.DONE;
  });
}

/** It succeeds, for there is nothing to do; whoever mistyped a name wants to know all the same. */
async function nothingWords({ context }: LookTools, target: string): Promise<string> {
  if (target.includes('/')) {
    const isThere = context.host === undefined || (await context.host.stat(target)) !== null;
    return isThere
      ? 'nothing is left behind there'
      : `there is no ${target}, and nothing is left behind of it`;
  }
  const connection = await context.link.connection();
  return findDomain(connection, target).then(
    () => `nothing is left behind of ${target}`,
    async (error: unknown) => {
      if (!(error instanceof Refusal)) throw error;
      return `${error.message}, and nothing is left behind of one${await pathHint(context, target)}`;
    },
  );
}

/** A path without a slash is taken for a domain's name. */
async function pathHint({ host }: LookTools['context'], name: string): Promise<string> {
  const isThere = host?.isLocal === true && name !== '' && (await host.stat(pathOnHost(host, name))) !== null;
  return isThere ? `; for what is called so here: blockferry cleanup ${quoteArgument(`./${name}`)}` : '';
}

async function agreed({ io }: LookTools, json: boolean): Promise<boolean> {
  if (json || !io.canAsk) throw new UsageError('nothing was removed: nobody can be asked here', 'give --yes');
  const answer = await io.ask('Remove these? [y/N] ');
  return /^y(es)?$/i.test(answer?.trim() ?? '');
}

async function remove({ show }: LookTools, finding: Finding): Promise<void> {
  const removed = await finding.remove();
  show(finding.line(removed), () => removed.map((path) => `removed ${path}\n`).join(''));
}
