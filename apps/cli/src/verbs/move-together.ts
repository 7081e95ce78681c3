// blockferry move of several disks as one: planned together, or the same group continued where it stopped.
import {
  type Context,
  disksToMove,
  findMoves,
  type GroupRequest,
  type MoveRecord,
  meansDestinationOf,
  type Plan,
  Refusal,
  togetherWith,
} from '@blockferry/engine';
import type { MoveOptions } from '../arguments/move-request.ts';
import { ExitCode } from '../exit-code.ts';
import { bareResult } from '../outcome/result.ts';
import type { MoveTools } from './commands.ts';
import { DECLINED, mayDelete, mayOverwrite } from './may-delete.ts';
import { makePlans, readGroupRequest } from './prepare-move.ts';
import { runTogether } from './run-together.ts';
import type { Invocation } from './verb.ts';

export async function moveTogether(
  tools: MoveTools,
  { io, afterStep }: Invocation,
  domain: string,
  disks: GroupRequest['disks'],
  options: MoveOptions,
): Promise<ExitCode> {
  const { session, context, view, signal, end } = tools;
  const request = await readGroupRequest(domain, disks, options);
  const prepared = await tools.unlessStopped(prepare(context, request));
  const { moves } = prepared;
  if (prepared.kind === 'new') for (const plan of prepared.plans) view.plan(plan);
  else for (const move of moves) view.continuing(move);
  const isWanted = async () =>
    prepared.kind === 'continue' ||
    ((await mayOverwrite(io, prepared.plans, options)) && (await mayDelete(io, moves, options)));
  if (!(await isWanted())) {
    return end(bareResult('refused', ExitCode.REFUSED, { domain, error: DECLINED }));
  }
  const recorded = prepared.kind === 'continue';
  return end(await runTogether(session, moves, view, { asked: 'move', recorded, signal, afterStep }));
}

type Prepared =
  | { readonly kind: 'new'; readonly plans: readonly Plan[]; readonly moves: readonly MoveRecord[] }
  | { readonly kind: 'continue'; readonly moves: readonly MoveRecord[] };

/** New plans; or, where these very disks are on their way there already, their moves. @throws Refusal */
async function prepare(context: Context, request: GroupRequest): Promise<Prepared> {
  try {
    const plans = await makePlans(context, request);
    return { kind: 'new', plans, moves: plans.map(({ move }) => move) };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const moves = await sameGroup(context, request).catch(() => undefined);
    if (moves === undefined) throw error;
    return { kind: 'continue', moves };
  }
}

async function sameGroup(
  context: Context,
  { domain, disks: wanted }: GroupRequest,
): Promise<readonly MoveRecord[] | undefined> {
  const { disks } = await disksToMove(context, { domain, disks: wanted });
  const sets = togetherWith(await findMoves(context, domain));
  return sets.find(
    (moves) =>
      moves[0].group?.disks.length === disks.length &&
      moves[0].copy === undefined &&
      moves.every((move) => {
        const asked = disks.find(({ disk }) => disk === move.disk);
        return asked !== undefined && meansDestinationOf(context, asked, move);
      }),
  );
}
