// What every command does around its own work: open the session, stop on Ctrl-C, and put every error into words.
import type { Context } from '@blockferry/engine';
import { ExitCode } from '../exit-code.ts';
import { explain } from '../outcome/explain.ts';
import { bareResult, type Result } from '../outcome/result.ts';
import { openSession, type Session } from '../session.ts';
import { interruptible, orInterrupted } from '../terminal/interrupt.ts';
import type { Io } from '../terminal/io.ts';
import { addressedIo } from '../views/addressed.ts';
import { createMoveView } from '../views/create-move-view.ts';
import { resultText } from '../views/human/result.ts';
import { formatLine, type JsonLine } from '../views/json/lines.ts';
import { errorObject } from '../views/json/move.ts';
import type { MoveView } from '../views/move-view.ts';
import type { Invocation } from './verb.ts';

export interface MoveTools {
  readonly session: Session;
  readonly context: Context;
  readonly view: MoveView;
  readonly signal: AbortSignal;
  /** Waits for work that touches nothing, but no longer than until Ctrl-C. */
  readonly unlessStopped: <T>(work: Promise<T>) => Promise<T>;
  /** Shows a result, and gives its exit code. */
  readonly end: (result: Result) => ExitCode;
}

/** A command that runs moves: progress, Ctrl-C, and a result as its last word whatever happens. */
export async function moveCommand(
  invocation: Invocation,
  { json, domain, disk }: { readonly json: boolean; readonly domain?: string; readonly disk?: string },
  work: (tools: MoveTools) => Promise<ExitCode>,
): Promise<ExitCode> {
  const view = createMoveView(invocation.io, json, invocation.uri);
  const end = (result: Result): ExitCode => {
    view.result(result);
    return result.exitCode;
  };
  return interruptible(
    async (signal) => {
      try {
        await using session = openSession(invocation.uri);
        const unlessStopped = <T>(pending: Promise<T>) => orInterrupted(pending, signal);
        return await work({ session, context: session.context, view, signal, unlessStopped, end });
      } catch (error) {
        const { outcome, exitCode, error: words } = explain(error);
        return end(bareResult(outcome, exitCode, { domain, disk, error: words }));
      }
    },
    () => view.stopping(),
  );
}

export interface LookTools {
  readonly session: Session;
  readonly context: Context;
  readonly io: Io;
  /** Shows something: as a JSON line, or as the text that `human` makes. */
  readonly show: (line: JsonLine, human: () => string) => void;
}

/** A command that shows things and ends. In JSON its last line is a short result. */
export async function lookCommand(
  { io: plain, uri }: Invocation,
  json: boolean,
  work: (tools: LookTools) => Promise<ExitCode>,
): Promise<ExitCode> {
  const io = json ? plain : addressedIo(plain, uri);
  const end = endOfLook(io, json, uri);
  try {
    await using session = openSession(uri);
    const show: LookTools['show'] = (line, human) => io.out(json ? formatLine(line) : human());
    const exitCode = await work({ session, context: session.context, io, show });
    return end(exitCode === ExitCode.DONE ? 'done' : 'failed', exitCode);
  } catch (error) {
    const { outcome, exitCode, error: words } = explain(error);
    return end(outcome, exitCode, words);
  }
}

/** How a command ends that only looks: in JSON with a short result, else with words for what went wrong. */
export function endOfLook(io: Io, json: boolean, uri: string | undefined) {
  return (outcome: Result['outcome'], exitCode: ExitCode, error?: Result['error']): ExitCode => {
    if (json) io.out(formatLine({ type: 'result', outcome, exitCode, error: errorObject(error, uri) }));
    else if (error !== undefined) io.err(resultText(bareResult(outcome, exitCode, { error })));
    return exitCode;
  };
}
