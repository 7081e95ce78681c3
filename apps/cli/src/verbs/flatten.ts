// blockferry flatten: the active image takes the data of those below it, and depends on them no more.
import type { Command } from 'commander';
import type { ExitCode } from '../exit-code.ts';
import { addShortenOptions, runShorten, type ShortenOptions, shortenRequest } from './shorten.ts';
import type { Invocation, Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry flatten web vda
      the active image becomes independent of its chain; shared bases stay as they are
  blockferry flatten web vda --base /images/golden.qcow2
      down to an image that stays below it
  blockferry flatten web vda --bandwidth 50M --delete

Ctrl-C stops cleanly: the same command, or blockferry resume web, goes on.
`;

interface FlattenOptions extends ShortenOptions {
  readonly base?: string;
}

export const flatten: Verb = {
  configure(command: Command, run) {
    command
      .argument('<domain>', 'name, UUID or id')
      .argument('<disk>', 'target (vda), or the path of its image')
      .usage('DOMAIN DISK [--base IMAGE] [options]')
      .option('--base <image>', 'the image that stays below the active one; by default none');
    addShortenOptions(command)
      .addHelpText('after', EXAMPLES)
      .action((domain: string, disk: string, options: FlattenOptions) =>
        run((invocation) => runFlatten(invocation, domain, disk, options)),
      );
  },
};

function runFlatten(
  invocation: Invocation,
  domain: string,
  disk: string,
  options: FlattenOptions,
): Promise<ExitCode> {
  const { base } = options;
  return runShorten(invocation, { domain, disk }, options, () =>
    shortenRequest({ domain, disk }, { kind: 'pull', ...(base !== undefined && { base }) }, options),
  );
}
