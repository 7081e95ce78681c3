// blockferry plan: what a move would do. Touches nothing.
import type { Context, Plan } from '@blockferry/engine';
import type { Command } from 'commander';
import type { MoveOptions } from '../arguments/move-request.ts';
import { whichDisks } from '../arguments/which-disks.ts';
import { ExitCode } from '../exit-code.ts';
import { showPlan } from '../views/show-plan.ts';
import { lookCommand } from './commands.ts';
import { addMoveArguments, addMoveOptions, addVirshOptions } from './move-options.ts';
import { makePlan, makePlans, readGroupRequest, readMoveArguments } from './prepare-move.ts';
import type { Invocation, Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry plan web vda /srv/fast/web.qcow2 --shallow
  blockferry plan web vda pool:fast --flatten --json
  blockferry plan web --all /srv/fast/
`;

export const plan: Verb = {
  configure(command: Command, run) {
    addVirshOptions(addMoveOptions(addMoveArguments(command)))
      .addHelpText('after', EXAMPLES)
      .action((domain: string, words: readonly string[], options: MoveOptions) =>
        run((invocation) => runPlan(invocation, domain, words, options)),
      );
  },
};

/** Also `move --dry-run`. */
export function runPlan(
  invocation: Invocation,
  domain: string,
  words: readonly string[],
  options: MoveOptions,
): Promise<ExitCode> {
  return lookCommand(invocation, options.json ?? false, async ({ context, show }) => {
    const plans = await plansOf(context, domain, words, options);
    for (const made of plans) showPlan(show, made);
    return ExitCode.DONE;
  });
}

async function plansOf(
  context: Context,
  domain: string,
  words: readonly string[],
  options: MoveOptions,
): Promise<readonly Plan[]> {
  const which = whichDisks(words, options);
  if (which.kind === 'together') {
    return makePlans(context, await readGroupRequest(domain, which.disks, options));
  }
  return [await makePlan(context, await readMoveArguments(domain, which.disk, which.destination, options))];
}
