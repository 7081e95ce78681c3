// blockferry move: moves one disk of a running domain, or several as one, or continues the same move where it stopped.
import {
  type Context,
  findMoves,
  type MoveRecord,
  type MoveRequest,
  meansDestinationOf,
  type Plan,
  Refusal,
} from '@blockferry/engine';
import { describeSource } from '@blockferry/libvirt';
import type { Command } from 'commander';
import type { MoveArguments, MoveOptions } from '../arguments/move-request.ts';
import { onlyDisk, whichDisks } from '../arguments/which-disks.ts';
import { ExitCode } from '../exit-code.ts';
import { bareResult, namesOf } from '../outcome/result.ts';
import type { Io } from '../terminal/io.ts';
import { moveCommand } from './commands.ts';
import { addDryRun, type DryRunOption } from './dry-run.ts';
import { DECLINED, mayDelete, mayOverwrite } from './may-delete.ts';
import { addMoveArguments, addMoveOptions, addVirshOptions } from './move-options.ts';
import { moveTogether } from './move-together.ts';
import { runPlan } from './plan.ts';
import { makePlan, readMoveArguments } from './prepare-move.ts';
import { runToResult } from './run-to-result.ts';
import type { Invocation, Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry move web vda /srv/fast/
      a disk of one image, into a directory
  blockferry move web vda /srv/fast/web.qcow2 --shallow
      the active image; the chain below it is shared
  blockferry move web vda pool:fast --flatten --bandwidth 200M
      the whole chain as one new volume of a pool
  blockferry move web vda nbd://10.0.0.2/vol --flatten --format raw
  blockferry move web vda rbd:ssd/web --flatten
      into Ceph, as an image that is made for it
  blockferry move web vda /srv/copy.qcow2 --flatten --hold
      stop when ready; then blockferry pivot web vda, or abort
  blockferry move web --all /srv/fast/
      every disk: frozen at one instant, and all switched or none
  blockferry move web vda=/srv/fast/ vdb=/srv/bulk/ --group-pause
      these two, switched in one short pause of the guest
  blockferry move web vda /srv/fast/ --dry-run
      what it would do; nothing is touched

Ctrl-C stops cleanly: the same command, or blockferry resume web, goes on.
`;

export const move: Verb = {
  configure(command: Command, run) {
    addDryRun(
      addVirshOptions(addMoveOptions(addMoveArguments(command))),
      'say what would be done, step by step, and touch nothing: as blockferry plan',
    )
      .addHelpText('after', EXAMPLES)
      .action((domain: string, words: readonly string[], options: MoveOptions & DryRunOption) =>
        run((invocation) => (options.dryRun ? runPlan : runMoveVerb)(invocation, domain, words, options)),
      );
  },
};

function runMoveVerb(
  invocation: Invocation,
  domain: string,
  words: readonly string[],
  options: MoveOptions,
): Promise<ExitCode> {
  const { io, afterStep } = invocation;
  const disk = onlyDisk(words, options);
  const names = { json: options.json ?? false, domain, ...(disk !== undefined && { disk }) };
  return moveCommand(invocation, names, async (tools) => {
    const which = whichDisks(words, options);
    if (which.kind === 'together') return moveTogether(tools, invocation, domain, which.disks, options);
    const given = await readMoveArguments(domain, which.disk, which.destination, options);
    const prepared = await tools.unlessStopped(prepare(tools.context, given));
    if (prepared.kind === 'continue') tools.view.continuing(prepared.move);
    else tools.view.plan(prepared.plan);
    const { move: record } = prepared.kind === 'new' ? prepared.plan : prepared;
    if (prepared.kind === 'new' && !(await mayBegin(io, prepared.plan, options))) {
      return tools.end(bareResult('refused', ExitCode.REFUSED, { ...namesOf(record), error: DECLINED }));
    }
    const { session, view, signal, end } = tools;
    const recorded = prepared.kind === 'continue';
    return end(await runToResult(session, record, view, { asked: 'move', recorded, signal, afterStep }));
  });
}

async function mayBegin(io: Io, plan: Plan, options: MoveOptions): Promise<boolean> {
  return (await mayOverwrite(io, [plan], options)) && mayDelete(io, [plan.move], options);
}

type Prepared =
  | { readonly kind: 'new'; readonly plan: Plan }
  | { readonly kind: 'continue'; readonly move: MoveRecord };

/** A new plan; or, where this very move is open already, that one. @throws Refusal with nothing touched */
async function prepare(context: Context, given: MoveArguments): Promise<Prepared> {
  try {
    return { kind: 'new', plan: await makePlan(context, given) };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const open = await sameMove(context, given.request).catch(() => undefined);
    if (open === undefined) throw error;
    return { kind: 'continue', move: open };
  }
}

/** Preflight has many reasons against a disk that is being moved; whichever it was, the same move goes on. */
async function sameMove(context: Context, request: MoveRequest): Promise<MoveRecord | undefined> {
  const open = await findMoves(context, request.domain);
  return open.find(
    (one) =>
      // One of several that move as one is not moved by itself.
      one.group === undefined &&
      one.copy === undefined &&
      (one.disk === request.disk || describeSource(one.origin.source) === request.disk) &&
      meansDestinationOf(context, request, one),
  );
}
