// blockferry plan: what a move would do. Touches nothing.
import type { Command } from 'commander';
import type { MoveOptions } from '../arguments/move-request.ts';
import { ExitCode } from '../exit-code.ts';
import { explain } from '../outcome/explain.ts';
import { bareResult } from '../outcome/result.ts';
import { openSession } from '../session.ts';
import { createMoveView } from '../views/create-move-view.ts';
import { planWithSteps } from '../views/human/plan.ts';
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

async function runPlan(
  { io, uri }: Invocation,
  domain: string,
  disk: string,
  dest: string | undefined,
  options: MoveOptions,
): Promise<ExitCode> {
  const json = options.json ?? false;
  const view = createMoveView(io, json);
  try {
    const given = await readMoveArguments(domain, disk, dest, options);
    await using session = openSession(uri);
    const made = await makePlan(session.context, given);
    if (json) {
      view.plan(made);
      view.result(bareResult('planned', ExitCode.DONE, { domain, disk }));
    } else {
      io.out(planWithSteps(made));
      for (const { message } of made.warnings) io.err(`warning: ${message}\n`);
    }
    return ExitCode.DONE;
  } catch (error) {
    const { outcome, exitCode, error: words } = explain(error);
    view.result(bareResult(outcome, exitCode, { domain, disk, error: words }));
    return exitCode;
  }
}
