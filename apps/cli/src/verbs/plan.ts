// blockferry plan: what a move would do. Touches nothing.
import type { Command } from 'commander';
import type { MoveOptions } from '../arguments/move-request.ts';
import { ExitCode } from '../exit-code.ts';
import { planWithSteps } from '../views/human/plan.ts';
import { planLine } from '../views/json/move.ts';
import { lookCommand } from './commands.ts';
import { addMoveArguments, addMoveOptions, addVirshOptions } from './move-options.ts';
import { makePlan, readMoveArguments } from './prepare-move.ts';
import type { Invocation, Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry plan web vda /srv/fast/web.qcow2 --shallow
  blockferry plan web vda pool:fast --flatten --json
`;

export const plan: Verb = {
  configure(command: Command, run) {
    addVirshOptions(addMoveOptions(addMoveArguments(command)))
      .addHelpText('after', EXAMPLES)
      .action((domain: string, disk: string, dest: string | undefined, options: MoveOptions) =>
        run((invocation) => runPlan(invocation, domain, disk, dest, options)),
      );
  },
};

function runPlan(
  invocation: Invocation,
  domain: string,
  disk: string,
  dest: string | undefined,
  options: MoveOptions,
): Promise<ExitCode> {
  return lookCommand(invocation, options.json ?? false, async ({ context, show }) => {
    const made = await makePlan(context, await readMoveArguments(domain, disk, dest, options));
    show(planLine(made), () => planWithSteps(made));
    for (const { code, message } of made.warnings) {
      show({ type: 'warning', domain: made.move.domain.name, disk: made.move.disk, code, message }, () => {
        return `warning: ${message}\n`;
      });
    }
    return ExitCode.DONE;
  });
}
