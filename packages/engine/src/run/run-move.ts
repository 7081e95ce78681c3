// The loop: observe, decide, act, until the move has ended. There is no other path for recovery.
import type { MoveRecord } from '../model/record.ts';
import { unreachable } from '../model/units.ts';
import { AtWork } from './at-work.ts';
import { beginAlone } from './begin-alone.ts';
import { Bell } from './bell.ts';
import type { Context } from './context.ts';
import { DiskRun, type Ended, POLL_MS, type RunOptions } from './disk-run.ts';
import { mustHaveTools } from './must-have-tools.ts';

/**
 * Runs a move from wherever it stands to its end, or until `signal` aborts: then it stops between two steps, and
 * `resume` goes on from there.
 *
 * @throws Error for one of several disks that move as one: see `runGroup`
 * @throws Refusal `no-host`; `at-work` while another blockferry carries it out; as `beginAlone` does, for one that begins
 * @throws StepFailed, LibvirtError, HostError, RecordUnreadable: the record stands and the guest runs on; asking
 *   again continues. A connection that drops is waited for (60 s) before ConnectionClosed is thrown.
 */
export async function runMove(context: Context, move: MoveRecord, options: RunOptions): Promise<Ended> {
  if ((move.group?.disks.length ?? 1) > 1) throw new Error(`${move.disk} moves together with other disks`);
  mustHaveTools(context, move);
  const bell = new Bell();
  const run = new DiskRun(context, move, options, bell);
  const { signal } = options;
  using atWork = new AtWork(context.host, { domain: move.domain, parts: [move.disk] }, options);
  const once = async (): Promise<Ended['ending'] | undefined> =>
    signal.aborted ? { kind: 'stopped' } : turnOrOvercome(run, bell, options, atWork);
  try {
    const what = { domain: move.domain, disks: [move], makes: [move] };
    let ending = options.begins
      ? await beginAlone(context, what, signal, { once, isRecorded: () => run.hasRecorded })
      : undefined;
    while (ending === undefined) ending = await once();
    return run.ended(ending);
  } finally {
    await run.stop();
  }
}

async function turnOrOvercome(
  run: DiskRun,
  bell: Bell,
  options: RunOptions,
  atWork: AtWork,
): Promise<Ended['ending'] | undefined> {
  try {
    if (!(await atWork.take())) return undefined;
    return await turn(run, bell, options);
  } catch (error) {
    await run.overcome(error);
    return undefined;
  }
}

/** One look and what follows from it. */
async function turn(run: DiskRun, bell: Bell, { signal }: RunOptions): Promise<Ended['ending'] | undefined> {
  const sight = await run.look();
  if (sight.kind === 'ended') return sight.outcome;
  if (sight.kind === 'again') return undefined;
  const decision = sight.look.decide(run.move);
  switch (decision.kind) {
    case 'act':
      return run.act(sight.look, decision);
    case 'wait':
      await run.tellWait(sight.look, decision);
      await bell.wait(POLL_MS, signal);
      return undefined;
    case 'end':
      await run.atEnd(sight.look);
      return decision.outcome;
    case 'ask':
      return decision;
    default:
      return unreachable(decision);
  }
}
