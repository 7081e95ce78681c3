// blockferry commit: the data of upper images goes down into a base, and the chain is shorter by them.
import type { Command } from 'commander';
import { UsageError } from '../arguments/usage-error.ts';
import type { ExitCode } from '../exit-code.ts';
import { addShortenOptions, runShorten, type ShortenOptions, shortenRequest } from './shorten.ts';
import type { Invocation, Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry commit web vda
      everything into the last image of the chain, which the guest is switched to
  blockferry commit web vda --shallow --delete
      the active image into the one below it, and away with it
  blockferry commit web vda --top /images/tue.qcow2 --base /images/mon.qcow2
      from the middle: the active image stays, and so does the guest
  blockferry commit web vda --dry-run

An image that another disk stands on is never committed into, whether its domain runs or not.
Ctrl-C stops cleanly: the same command, or blockferry resume web, goes on.
`;

interface CommitOptions extends ShortenOptions {
  readonly top?: string;
  readonly base?: string;
  readonly shallow?: boolean;
  readonly hold?: boolean;
}

export const commit: Verb = {
  configure(command: Command, run) {
    command
      .argument('<domain>', 'name, UUID or id')
      .argument('<disk>', 'target (vda), or the path of its image')
      .usage('DOMAIN DISK [--top IMAGE] [--base IMAGE] [options]')
      .option('--top <image>', 'the uppermost image that is committed; by default the active one')
      .option('--base <image>', 'the image that takes the data; by default the last of the chain')
      .option('--shallow', 'into the image right below')
      .option('--hold', 'stop when ready, and wait for pivot or abort (active image only)');
    addShortenOptions(command)
      .addHelpText('after', EXAMPLES)
      .action((domain: string, disk: string, options: CommitOptions) =>
        run((invocation) => runCommit(invocation, domain, disk, options)),
      );
  },
};

function runCommit(
  invocation: Invocation,
  domain: string,
  disk: string,
  options: CommitOptions,
): Promise<ExitCode> {
  return runShorten(invocation, { domain, disk }, options, () => {
    const { top, base, shallow = false } = options;
    if (shallow && base !== undefined) throw new UsageError('--shallow and --base exclude one another');
    const named = { ...(top !== undefined && { top }), ...(base !== undefined && { base }) };
    return shortenRequest({ domain, disk }, { kind: 'commit', ...named, shallow }, options);
  });
}
