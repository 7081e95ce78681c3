// What `commit` and `flatten` share: a new plan, or the same work continued; then the run to its end.
import {
  type Context,
  findMoves,
  type MoveRecord,
  type Plan,
  preflightShorten,
  Refusal,
  type ShortenRequest,
  shortenPlanOf,
} from '@blockferry/engine';
import { describeSource } from '@blockferry/libvirt';
import type { Command } from 'commander';
import { parseRate } from '../arguments/size.ts';
import { ExitCode } from '../exit-code.ts';
import { bareResult, namesOf } from '../outcome/result.ts';
import { showPlan } from '../views/show-plan.ts';
import { lookCommand, moveCommand } from './commands.ts';
import { addDryRun, type DryRunOption } from './dry-run.ts';
import { DECLINED, mayDelete } from './may-delete.ts';
import { runToResult } from './run-to-result.ts';
import type { Invocation } from './verb.ts';

export interface ShortenOptions extends DryRunOption {
  readonly bandwidth?: string;
  readonly bytes?: boolean;
  readonly delete?: boolean;
  readonly keepRelative?: boolean;
  readonly json?: boolean;
  readonly yes?: boolean;
}

export function addShortenOptions(command: Command): Command {
  addDryRun(command, 'say what would be done, step by step, and touch nothing')
    .option('--bandwidth <rate>', 'limit the block job: 100M, 1.5G, or a plain number in MiB/s')
    .option('--bytes', 'a plain --bandwidth is in bytes a second')
    .option('--delete', 'delete the images that leave the chain, if nothing else uses them')
    .option('--keep-relative', 'where a header names what is below it relatively, it goes on to do so')
    .option('--json', 'one JSON object a line on stdout')
    .option('-y, --yes', 'do not ask');
  for (const flag of ['--wait', '--verbose', '--active', '--pivot']) {
    command.addOption(command.createOption(flag, 'what we do anyway').hideHelp());
  }
  return command;
}

/** @param how what the verb's own options say. @throws UsageError */
export function shortenRequest(
  names: Pick<ShortenRequest, 'domain' | 'disk'>,
  how: ShortenRequest['how'],
  options: ShortenOptions & { readonly hold?: boolean },
): ShortenRequest {
  const { bandwidth, bytes = false, keepRelative = false, hold = false } = options;
  return {
    ...names,
    how,
    ...(bandwidth !== undefined && { bandwidth: parseRate(bandwidth, '--bandwidth', { bytes }) }),
    deleteSource: options.delete ?? false,
    keepRelative,
    hold,
  };
}

export function runShorten(
  invocation: Invocation,
  names: Pick<ShortenRequest, 'domain' | 'disk'>,
  options: ShortenOptions,
  makeRequest: () => ShortenRequest,
): Promise<ExitCode> {
  const json = options.json ?? false;
  if (options.dryRun === true) {
    return lookCommand(invocation, json, async ({ context, show }) => {
      showPlan(show, shortenPlanOf(await preflightShorten(context, makeRequest())));
      return ExitCode.DONE;
    });
  }
  return moveCommand(invocation, { json, ...names }, async (tools) => {
    const prepared = await tools.unlessStopped(prepare(tools.context, makeRequest()));
    if (prepared.kind === 'continue') tools.view.continuing(prepared.move);
    else tools.view.plan(prepared.plan);
    const { move } = prepared.kind === 'new' ? prepared.plan : prepared;
    if (prepared.kind === 'new' && !(await mayDelete(invocation.io, [move], options))) {
      return tools.end(bareResult('refused', ExitCode.REFUSED, { ...namesOf(move), error: DECLINED }));
    }
    const { session, view, signal, end } = tools;
    const { afterStep } = invocation;
    const recorded = prepared.kind === 'continue';
    return end(await runToResult(session, move, view, { asked: 'move', recorded, signal, afterStep }));
  });
}

type Prepared =
  | { readonly kind: 'new'; readonly plan: Plan }
  | { readonly kind: 'continue'; readonly move: MoveRecord };

/** A new plan; or, where this very work is open already, that. @throws Refusal with nothing touched */
async function prepare(context: Context, request: ShortenRequest): Promise<Prepared> {
  try {
    return { kind: 'new', plan: shortenPlanOf(await preflightShorten(context, request)) };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const open = await findMoves(context, request.domain).catch(() => []);
    const move = open.find((one) => isSame(one, request));
    if (move === undefined) throw error;
    return { kind: 'continue', move };
  }
}

/** Images that the request leaves to us may be fewer by now: those that it names have to be those of the record. */
function isSame(move: MoveRecord, { disk, how }: ShortenRequest): boolean {
  const [active] = move.shorten?.chain ?? [];
  const is = (image: MoveRecord['origin'] | undefined, name: string | undefined) =>
    name === undefined || (image !== undefined && describeSource(image.source) === name);
  const isDisk = move.disk === disk || (active !== undefined && is(active, disk));
  if (!isDisk || move.strategy !== how.kind) return false;
  return how.kind === 'pull' || (is(move.origin, how.top) && is(move.destination, how.base));
}
