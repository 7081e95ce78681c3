// Runs a move to its end, shows it, and makes the result of it: shared by move, resume, pivot and abort.
import {
  allocatedBytes,
  copiedDisk,
  type Ended,
  type MoveRecord,
  Refusal,
  type RunOptions,
  runMove,
} from '@blockferry/engine';
import { explain } from '../outcome/explain.ts';
import { bareResult, copyOf, errorOf, judge, namesOf, type Result, waysOn } from '../outcome/result.ts';
import type { Session } from '../session.ts';
import { Interrupted } from '../terminal/interrupt.ts';
import type { MoveView } from '../views/move-view.ts';
import { imageInUse, leftoversOf, sideFacts, sourcesLeft } from './look-after.ts';

export interface RunToResult {
  readonly asked: 'move' | 'abort';
  /** The record stands on the host already. */
  readonly recorded: boolean;
  /** Whoever carries it out has been told what is wanted, and is waited for. */
  readonly waits?: boolean;
  readonly signal: AbortSignal;
  readonly afterStep: RunOptions['afterStep'];
}

/** Never throws for what becomes of the move: that is in the result, which the view has shown. */
export async function runToResult(
  { context }: Session,
  move: MoveRecord,
  view: MoveView,
  options: RunToResult,
): Promise<Result> {
  let recorded = options.recorded;
  const copied = new CopiedBytes(options.recorded);
  const run: RunOptions = {
    begins: !options.recorded,
    recorded: options.recorded,
    ...(options.waits !== undefined && { waits: options.waits }),
    signal: options.signal,
    report: (report) => {
      if (report.type === 'step') recorded = true;
      if (report.type === 'progress') copied.note(report);
      view.report(report);
    },
    ...(options.afterStep && { afterStep: options.afterStep }),
  };
  try {
    const ended = await runMove(context, move, run);
    return await resultOf(context, ended, { ...options, recorded, bytes: copied.bytes });
  } catch (error) {
    const { outcome, exitCode, error: words } = explain(error, recorded);
    const hint = recorded && !(error instanceof Refusal) ? resumeHint(move, words.hint) : words.hint;
    return bareResult(outcome, exitCode, {
      ...namesOf(move),
      ...copyOf(move),
      runsOn: await imageInUse(context, move),
      bytes: copied.bytes,
      error: { ...words, hint },
    });
  }
}

/** Adds up what a run copies, over copies that begin anew; what was copied before it does not count. */
export class CopiedBytes {
  /** Undefined until the job has said how much there is. */
  bytes: bigint | undefined;
  #last: bigint | undefined;

  /** @param resumed a copy may be under way already */
  constructor(resumed: boolean) {
    this.#last = resumed ? undefined : 0n;
  }

  note({ copied, total }: { readonly copied: bigint; readonly total: bigint }): void {
    if (total <= 0n) return;
    const before = this.#last ?? copied;
    // Less than before: the job was started again, from zero.
    const more = copied >= before ? copied - before : copied;
    this.bytes = (this.bytes ?? 0n) + more;
    this.#last = copied;
  }
}

/** What became of a move, and what can be seen of it now. */
export async function resultOf(
  context: Session['context'],
  ended: Ended,
  { asked, recorded, bytes }: RunToResult & { readonly bytes: bigint | undefined },
): Promise<Result> {
  const { ending, move, cutoverMs, durationMs, layers } = ended;
  if (ending.kind === 'stopped' && !recorded) {
    const { outcome, exitCode, error } = explain(new Interrupted());
    return bareResult(outcome, exitCode, { ...namesOf(move), ...copyOf(move), durationMs, error });
  }
  const { outcome, exitCode } = judge(ending, asked, move.strategy);
  return bareResult(outcome, exitCode, {
    ...namesOf(move),
    ...copyOf(move),
    runsOn: await imageInUse(context, move),
    cutoverMs,
    durationMs,
    bytes: atLeast(bytes, layers?.copied),
    copiedBefore: layers?.copiedBefore,
    verifiedBytes: layers?.verified ?? move.copy?.done?.verified,
    freezeMs: layers?.freezeMs,
    guard: layers?.guard,
    allocatedBytes:
      ending.kind === 'moved' || ending.kind === 'kept' || ending.kind === 'copied'
        ? await allocatedBytes(context, move)
        : undefined,
    ...(ending.kind === 'copied' ? await madeBy(context, move) : {}),
    ...(move.strategy === 'layered' && { cannotBeKept: true }),
    leftovers: ending.kind === 'back' ? await leftoversOf(context, move) : [],
    ...(ending.kind === 'moved' ? await sourcesLeft(context, move) : {}),
    error: errorOf(ending, move, asked, ending.kind === 'ask' ? await sideFacts(context, move) : []),
  });
}

/** A copy of a moment is over before anything of it is reported. */
export function atLeast(reported: bigint | undefined, copied: bigint | undefined): bigint | undefined {
  if (reported === undefined || copied === undefined) return reported ?? copied;
  return copied > reported ? copied : reported;
}

/** A look that fails is no reason to say that the copy did. */
async function madeBy(
  context: Session['context'],
  move: MoveRecord,
): Promise<Pick<Result, 'images' | 'quiesced'>> {
  try {
    const { images, quiesced } = await copiedDisk(context, move);
    return { images, quiesced };
  } catch {
    return {};
  }
}

export function resumeHint(move: MoveRecord, hint: string | undefined): string {
  return [...(hint === undefined ? [] : [hint]), waysOn(move)].join('\n');
}
