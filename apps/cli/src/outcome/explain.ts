// The one place that turns errors into words: what happened, and what to do next.
import {
  CopiesInterrupted,
  ImageChanged,
  RecordUnreadable,
  Refusal,
  StepFailed,
  TakenOver,
} from '@blockferry/engine';
import {
  AuthenticationUnsupported,
  CallTimeout,
  ConnectionClosed,
  ConnectionUriError,
  DomainXmlError,
  LibvirtConfError,
  LibvirtError,
  TransportFailed,
} from '@blockferry/libvirt';
import {
  BrokenChain,
  FileError,
  GuestfishError,
  HostError,
  QemuImgError,
  StorageDaemonError,
  UndeclaredFormat,
} from '@blockferry/qemu';
import { UsageError } from '../arguments/usage-error.ts';
import { ExitCode } from '../exit-code.ts';
import { Interrupted } from '../terminal/interrupt.ts';
import { OutputLost } from '../terminal/io.ts';
import { errorOf, type ResultError, type ResultOutcome } from './result.ts';

export interface Explanation {
  readonly outcome: ResultOutcome;
  readonly exitCode: ExitCode;
  readonly error: ResultError;
}

/** What would be said of it as a move: that is the one that cannot go on. Which side is right is answered of the backup. */
function wordsOfCopy({ ended: { ending, move } }: CopiesInterrupted): Partial<ResultError> {
  const words = errorOf(ending, move, 'move');
  if (words === undefined) return {};
  if (ending.kind === 'ask') return ending.question === 'which-side' ? {} : words;
  return ending.kind === 'interrupted' ? { message: words.message } : {};
}

/** @param recorded whether a record of the move stands on the host: then it can be resumed */
export function explain(error: unknown, recorded = false): Explanation {
  const usage = usageOf(error);
  if (usage !== undefined) return { outcome: 'refused', exitCode: ExitCode.USAGE, error: usage };
  if (error instanceof Refusal) {
    return {
      outcome: 'refused',
      exitCode: ExitCode.REFUSED,
      error: { code: error.code, message: error.message, hint: error.hint },
    };
  }
  if (error instanceof CopiesInterrupted) {
    const exitCode = error.asks ? ExitCode.NEEDS_PERSON : ExitCode.RESUMABLE;
    const words = {
      code: error.asks ? 'which-side' : 'copy-interrupted',
      ...wordsOf(error),
      hint: undefined,
      ...wordsOfCopy(error),
    };
    return { outcome: error.asks ? 'question' : 'interrupted', exitCode, error: words };
  }
  if (error instanceof Interrupted) {
    const message = recorded ? error.message : 'stopped before anything was touched';
    return {
      outcome: 'stopped',
      exitCode: recorded ? ExitCode.RESUMABLE : ExitCode.FAILED,
      error: { code: 'stopped', message, hint: undefined },
    };
  }
  return {
    outcome: 'failed',
    exitCode: recorded ? ExitCode.RESUMABLE : ExitCode.FAILED,
    error: describe(error),
  };
}

/** What was given on the command line, or in a file it names, cannot be read. */
function usageOf(error: unknown): ResultError | undefined {
  if (error instanceof UsageError) return { code: 'usage', ...wordsOf(error), hint: error.hint };
  if (error instanceof ConnectionUriError) return { code: 'usage', ...wordsOf(error), hint: undefined };
  if (error instanceof LibvirtConfError) return { code: 'usage', ...wordsOf(error), hint: undefined };
  return undefined;
}

function describe(error: unknown): ResultError {
  if (error instanceof StepFailed) return { code: `step-${error.step}`, ...wordsOf(error), hint: undefined };
  if (error instanceof ImageChanged) return { code: 'image-changed', ...wordsOf(error), hint: error.hint };
  if (error instanceof RecordUnreadable) {
    const hint = 'another version of blockferry may have written it: use that one';
    return { code: 'record-unreadable', ...wordsOf(error), hint };
  }
  if (error instanceof LibvirtError) {
    const code = `libvirt-${error.codeName.toLowerCase().replaceAll('_', '-')}`;
    return { code, message: `libvirt: ${error.message}`, hint: undefined };
  }
  if (error instanceof DomainXmlError)
    return { code: `xml-${error.code}`, ...wordsOf(error), hint: undefined };
  if (error instanceof HostError) return { code: `host-${error.code}`, ...wordsOf(error), hint: error.hint };
  if (error instanceof FileError) {
    return { code: `file-${error.code.toLowerCase()}`, ...wordsOf(error), hint: undefined };
  }
  if (error instanceof OutputLost)
    return { code: `file-${error.errno.toLowerCase()}`, ...wordsOf(error), hint: undefined };
  if (error instanceof QemuImgError)
    return { code: `qemu-img-${error.code}`, ...wordsOf(error), hint: error.hint };
  if (error instanceof TakenOver) return { code: 'at-work', ...wordsOf(error), hint: undefined };
  if (error instanceof GuestfishError) return { code: 'guestfish', ...wordsOf(error), hint: undefined };
  if (error instanceof StorageDaemonError) {
    return { code: 'storage-daemon', ...wordsOf(error), hint: error.hint };
  }
  if (error instanceof BrokenChain) return { code: 'chain-broken', ...wordsOf(error), hint: error.hint };
  if (error instanceof UndeclaredFormat)
    return { code: 'format-undeclared', ...wordsOf(error), hint: error.hint };
  return describeConnection(error) ?? { code: 'internal', message: stackOf(error), hint: undefined };
}

function describeConnection(error: unknown): ResultError | undefined {
  const hint = 'blockferry doctor says what is missing';
  if (error instanceof TransportFailed) return { code: 'cannot-connect', ...wordsOf(error), hint };
  if (error instanceof AuthenticationUnsupported)
    return { code: 'cannot-authenticate', ...wordsOf(error), hint };
  if (error instanceof ConnectionClosed)
    return { code: 'connection-lost', ...wordsOf(error), hint: undefined };
  if (error instanceof CallTimeout) return { code: 'no-answer', ...wordsOf(error), hint: undefined };
  return undefined;
}

function wordsOf(error: Error): { readonly message: string } {
  return { message: error.message };
}

/** A mistake of ours: say all there is to say. */
function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
