// blockferry chain: the backing chains of a domain's disks, with sizes and whoever else uses the images.
import { inspectChains } from '@blockferry/engine';
import type { Command } from 'commander';
import { UsageError } from '../arguments/usage-error.ts';
import { ExitCode } from '../exit-code.ts';
import { chainText } from '../views/human/chain.ts';
import { chainLine } from '../views/json/inventory.ts';
import { lookCommand } from './commands.ts';
import { runTrees, type TreeOptions } from './trees.ts';
import type { Invocation, Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry chain web                            every disk of web
  blockferry chain web vda
  blockferry chain                                the trees of all images of all domains, and orphans beside them
  blockferry chain --directory /backup            looks for images in /backup and below too
  blockferry chain --dot | dot -Tpdf > images.pdf
  blockferry chain web --svg web.svg              the trees that web has a part in, drawn

An orphan is an image that no domain of this host has in a chain and that no definition, snapshot, checkpoint or open
move of it names. Domains of other hosts are not asked. Raw images look like any file, so none is found.
`;

interface ChainOptions extends TreeOptions {
  readonly all?: boolean;
}

export const chain: Verb = {
  configure(command: Command, run) {
    command
      .argument('[domain]', 'name, UUID or id; none: the trees of all images')
      .argument('[disk]', 'target (vda), or the path of its image')
      .usage('[DOMAIN [DISK]] [options]')
      .option('--all', 'trees of all images of all domains, as without DOMAIN')
      .option('--directory <dir>', 'look for images there as well, and below; may be repeated', gather)
      .option('--dot', 'the trees as a Graphviz digraph')
      .option('--svg <file>', 'the trees drawn, into a file (-: stdout)')
      .option('--json', 'one JSON object a line on stdout')
      .addHelpText('after', EXAMPLES)
      .action((domain: string | undefined, disk: string | undefined, options: ChainOptions) =>
        run((invocation) => runChain(invocation, domain, disk, options)),
      );
  },
};

function gather(one: string, others: readonly string[] = []): string[] {
  return [...others, one];
}

function runChain(
  invocation: Invocation,
  domain: string | undefined,
  disk: string | undefined,
  options: ChainOptions,
): Promise<ExitCode> {
  const { all = false, json = false, ...tree } = options;
  const drawn = options.dot === true || options.svg !== undefined;
  if (domain === undefined || drawn || all) {
    return runTrees(invocation, { domain, json, ...tree }, () => {
      if (domain !== undefined && all) throw new UsageError(`--all, or ${domain}: one of them`);
      if (disk !== undefined) throw new UsageError(`trees are of whole domains: leave out ${disk}`);
    });
  }
  return lookCommand(invocation, json, async ({ context, io, show }) => {
    if (options.directory !== undefined) {
      throw new UsageError('--directory is for trees', `leave out ${domain}`);
    }
    const reports = await inspectChains(context, domain, disk);
    for (const report of reports) show(chainLine(report), () => chainText(report));
    if (reports.length === 0 && !json) io.out(`${domain} has no disk with an image\n`);
    return ExitCode.DONE;
  });
}
