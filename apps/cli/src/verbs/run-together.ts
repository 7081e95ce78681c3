// Runs several disks as one to their end, shows it, and makes one result of it, with one for each disk inside.
import { type MoveRecord, Refusal, runGroup } from '@blockferry/engine';
import { explain } from '../outcome/explain.ts';
import { bareResult, namesOf, type Result } from '../outcome/result.ts';
import { together } from '../outcome/together.ts';
import type { Session } from '../session.ts';
import type { MoveView } from '../views/move-view.ts';
import { imageInUse } from './look-after.ts';
import { CopiedBytes, type RunToResult, resultOf, resumeHint } from './run-to-result.ts';

/** Never throws for what becomes of the moves: that is in the result. */
export async function runTogether(
  { context }: Session,
  moves: readonly MoveRecord[],
  view: MoveView,
  options: RunToResult,
): Promise<Result> {
  let { recorded } = options;
  const copied = new Map(moves.map(({ disk }) => [disk, new CopiedBytes(options.recorded)]));
  const bytesOf = ({ disk }: MoveRecord) => copied.get(disk)?.bytes;
  try {
    const ended = await runGroup(context, moves, {
      begins: !options.recorded,
      recorded: options.recorded,
      ...(options.waits !== undefined && { waits: options.waits }),
      signal: options.signal,
      report: (move, report) => {
        if (report.type === 'step') recorded = true;
        if (report.type === 'progress') copied.get(move.disk)?.note(report);
        view.about(move);
        view.report(report);
      },
      ...(options.afterStep && { afterStep: options.afterStep }),
    });
    const disks = await Promise.all(
      ended.disks.map((one) => resultOf(context, one, { ...options, recorded, bytes: bytesOf(one.move) })),
    );
    const { durationMs, pausedMs } = ended;
    return together(disks, { durationMs, pausedMs });
  } catch (error) {
    const { outcome, exitCode, error: words } = explain(error, recorded);
    const [first] = moves;
    const goesOn = recorded && !(error instanceof Refusal);
    const hint = goesOn && first !== undefined ? resumeHint(first, words.hint) : words.hint;
    const disks = await Promise.all(
      moves.map(async (move) =>
        bareResult(outcome, exitCode, {
          ...namesOf(move),
          runsOn: await imageInUse(context, move),
          bytes: bytesOf(move),
        }),
      ),
    );
    return { ...together(disks, {}), error: { ...words, hint } };
  }
}
