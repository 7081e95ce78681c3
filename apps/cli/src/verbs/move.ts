// blockferry move: moves one disk of a running domain, or continues the same move where it stopped.
import type { Plan } from '@blockferry/engine';
import type { Command } from 'commander';
import type { MoveOptions } from '../arguments/move-request.ts';
import type { ExitCode } from '../exit-code.ts';
import { explain } from '../outcome/explain.ts';
import { bareResult, type Result } from '../outcome/result.ts';
import { openSession, type Session } from '../session.ts';
import { interruptible, orInterrupted } from '../terminal/interrupt.ts';
import { createMoveView } from '../views/create-move-view.ts';
import type { MoveView } from '../views/move-view.ts';
import { addMoveArguments, addMoveOptions, addVirshOptions } from './move-options.ts';
import { makePlan, readMoveArguments } from './prepare-move.ts';
import { runToResult } from './run-to-result.ts';
import type { Invocation, Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry move web vda /srv/fast/                        a disk of one image, into a directory
  blockferry move web vda /srv/fast/web.qcow2 --shallow     the active image; the chain below is shared
  blockferry move web vda pool:fast --flatten --bandwidth 200M
  blockferry move web vda nbd://10.0.0.2/vol --flatten --format raw
  blockferry move web vda /srv/copy.qcow2 --flatten --hold  stop when ready; then pivot or abort
`;

export const move: Verb = {
  configure(command: Command, run) {
    addVirshOptions(addMoveOptions(addMoveArguments(command)))
      .addHelpText('after', EXAMPLES)
      .action((domain: string, disk: string, dest: string | undefined, options: MoveOptions) =>
        run((invocation) => runMoveVerb(invocation, domain, disk, dest, options)),
      );
  },
};

async function runMoveVerb(
  invocation: Invocation,
  domain: string,
  disk: string,
  dest: string | undefined,
  options: MoveOptions,
): Promise<ExitCode> {
  const view = createMoveView(invocation.io, options.json ?? false);
  const result = await interruptible(
    async (signal) => {
      try {
        const given = await readMoveArguments(domain, disk, dest, options);
        await using session = openSession(invocation.uri);
        const plan = await orInterrupted(makePlan(session.context, given), signal);
        view.plan(plan);
        return await carryOut(session, plan, view, signal, invocation);
      } catch (error) {
        return failure(error, domain, disk);
      }
    },
    () => view.stopping(),
  );
  view.result(result);
  return result.exitCode;
}

function carryOut(
  session: Session,
  { move: record }: Plan,
  view: MoveView,
  signal: AbortSignal,
  { afterStep }: Invocation,
): Promise<Result> {
  return runToResult(session, record, view, { asked: 'move', recorded: false, signal, afterStep });
}

function failure(error: unknown, domain: string, disk: string): Result {
  const { outcome, exitCode, error: words } = explain(error);
  return bareResult(outcome, exitCode, { domain, disk, error: words });
}
