// How a command on a move ended, as data: both views show it, and its exit code is the process's.
import {
  type CopiedImage,
  type Ended,
  type Interruption,
  type LayersSummary,
  type MoveRecord,
  undoCommand,
  unreachable,
} from '@blockferry/engine';
import { describeSource } from '@blockferry/libvirt';
import { quoteArgument } from '@blockferry/qemu';
import { ExitCode } from '../exit-code.ts';
import { questionError } from './question.ts';

export type ResultOutcome =
  | 'moved'
  | 'committed'
  | 'flattened'
  | 'ready'
  | 'back'
  | 'kept'
  | 'copied'
  | 'interrupted'
  | 'refused'
  | 'failed'
  | 'question'
  | 'stopped'
  /** What a command that moves nothing was asked for. */
  | 'done'
  /** There was nothing to do. */
  | 'nothing';

export interface ResultError {
  /** Stable, in kebab case. */
  readonly code: string;
  readonly message: string;
  /** What to do next; may hold several lines. */
  readonly hint: string | undefined;
}

export interface Result {
  readonly outcome: ResultOutcome;
  readonly exitCode: ExitCode;
  readonly domain: string | undefined;
  readonly disk: string | undefined;
  readonly source: string | undefined;
  readonly destination: string | undefined;
  /** Of a chain that is shortened: then `destination` is the image that takes the data of `source`. */
  readonly strategy?: 'commit' | 'pull';
  /** The image that the guest runs on now; undefined if it could not be looked at or the domain is off. */
  readonly runsOn: string | undefined;
  readonly cutoverMs: number | undefined;
  readonly durationMs: number | undefined;
  /** Copied by this run, as far as it was reported. */
  readonly bytes: bigint | undefined;
  /** Of the frozen layers, what runs before this one had copied: it was not copied again. Strategy `layered` only. */
  readonly copiedBefore: bigint | undefined;
  /** Of the frozen layers, what was read back and compared, by this run or those before. Strategy `layered` only. */
  readonly verifiedBytes: bigint | undefined;
  /** From the order to freeze until it was done; the guest was stopped for less. Strategy `layered` only. */
  readonly freezeMs: number | undefined;
  /** What the guest felt of the copying of the layers. */
  readonly guard: NonNullable<LayersSummary['guard']> | undefined;
  /** What the storage has allocated to a complete copy; undefined if there is none, or the storage does not tell. */
  readonly allocatedBytes: bigint | undefined;
  /** Images that the guest has left, and that are still there. */
  readonly sourcesKept: readonly string[];
  /** Of those that are no files, the commands that remove them from where they are. For people. */
  readonly removals?: readonly string[];
  /** Of a copy that is ready: it cannot be kept without a switch. For people. */
  readonly cannotBeKept?: true;
  /** The disk is copied, and not moved; `complete`: what is left is to take the guest back. For people. */
  readonly copy?: 'making' | 'complete';
  /** Those that are gone, as was asked for. */
  readonly sourcesDeleted: readonly string[];
  /** Files of ours that this command could not or did not remove. */
  readonly leftovers: readonly string[];
  readonly error: ResultError | undefined;
  /** Of a copy that is complete: its images, top first, and whether the guest's file systems were frozen for its instant. */
  readonly images?: readonly CopiedImage[];
  readonly quiesced?: boolean;
  /** Of several disks that move as one: how long the guest was paused for their switches. */
  readonly pausedMs?: number | undefined;
  /** Of several disks that move as one: each by itself. */
  readonly disks?: readonly Result[];
}

/** A result that says no more than how it ended. */
export function bareResult(outcome: ResultOutcome, exitCode: ExitCode, known: Partial<Result> = {}): Result {
  return {
    domain: undefined,
    disk: undefined,
    source: undefined,
    destination: undefined,
    runsOn: undefined,
    cutoverMs: undefined,
    durationMs: undefined,
    bytes: undefined,
    copiedBefore: undefined,
    verifiedBytes: undefined,
    freezeMs: undefined,
    guard: undefined,
    allocatedBytes: undefined,
    sourcesKept: [],
    sourcesDeleted: [],
    leftovers: [],
    error: undefined,
    ...known,
    outcome,
    exitCode,
  };
}

/** What is known of a move whatever became of it. */
export function namesOf(
  move: MoveRecord,
): Pick<Result, 'domain' | 'disk' | 'source' | 'destination' | 'strategy'> {
  const { strategy } = move;
  return {
    domain: move.domain.name,
    disk: move.disk,
    source: describeSource(move.origin.source),
    destination: describeSource(move.destination.source),
    ...((strategy === 'commit' || strategy === 'pull') && { strategy }),
  };
}

/** What is said of the copy of a disk that stays where it is; nothing of a move. */
export function copyOf({ copy, goal }: MoveRecord): Pick<Result, 'copy'> {
  return copy === undefined ? {} : { copy: goal === 'keep' ? 'complete' : 'making' };
}

/** What an operator types about an open move. */
export function commandsFor(move: MoveRecord): Readonly<Record<'resume' | 'undo' | 'pivot', string>> {
  const { domain, disk, group } = move;
  const name = quoteArgument(domain.name);
  // Disks that move as one are named by their domain.
  const which = group === undefined ? `${name} ${disk}` : name;
  return {
    resume: `blockferry resume ${name}`,
    undo: undoCommand(move),
    pivot: `blockferry pivot ${which}`,
  };
}

/** What is complete stays, and a guest that has left its source for good does not come back: an abort would finish it. */
export function isPastUndo({ phase, copy, goal }: MoveRecord): boolean {
  const hasLeft = phase === 'collapsing' || phase === 'landing' || phase === 'settling';
  return hasLeft || (copy !== undefined && goal === 'keep');
}

/** A commit waits for a word, and its domain is off: to go on is to wait until it runs. */
export function waysOnWhileOff(move: MoveRecord): readonly string[] | undefined {
  if (move.shorten === undefined || move.goal !== 'hold') return undefined;
  const { resume, undo, pivot } = commandsFor(move);
  const start = `virsh start ${quoteArgument(move.domain.name)}`;
  return [
    `commit it while it is off: ${pivot}`,
    `have it held while it runs: ${start}, then ${resume}`,
    `undo: ${undo}`,
  ];
}

/** What to do about a move that stands. */
export function waysOn(move: MoveRecord, why?: Interruption): string {
  const whileOff = why === 'domain-off' ? waysOnWhileOff(move) : undefined;
  if (whileOff !== undefined) return whileOff.join('\n');
  const { resume, undo } = commandsFor(move);
  return isPastUndo(move) ? `go on: ${resume}` : `go on: ${resume}\nundo: ${undo}`;
}

export type Ending = Ended['ending'];

const DONE_WORDS = { mirror: 'moved', layered: 'moved', commit: 'committed', pull: 'flattened' } as const;

/** Outcome and exit code of an ending; `asked`: what the command was meant to bring about. Pure. */
export function judge(
  ending: Ending,
  asked: 'move' | 'abort',
  strategy: MoveRecord['strategy'] = 'mirror',
): { readonly outcome: ResultOutcome; readonly exitCode: ExitCode } {
  switch (ending.kind) {
    case 'moved':
      return { outcome: DONE_WORDS[strategy], exitCode: ExitCode.DONE };
    case 'ready':
    case 'kept':
    case 'copied':
      return { outcome: ending.kind, exitCode: ExitCode.DONE };
    case 'back':
      return { outcome: 'back', exitCode: asked === 'abort' ? ExitCode.DONE : ExitCode.FAILED };
    case 'interrupted':
      return { outcome: 'interrupted', exitCode: ExitCode.RESUMABLE };
    case 'stopped':
      return { outcome: 'stopped', exitCode: ExitCode.RESUMABLE };
    case 'ask':
      return { outcome: 'question', exitCode: ExitCode.NEEDS_PERSON };
    default:
      return unreachable(ending);
  }
}

/**
 * The error that an ending amounts to; undefined if it is what was wanted.
 *
 * @param facts what was seen of the two images, where a person must decide between them
 */
export function errorOf(
  ending: Ending,
  move: MoveRecord,
  asked: 'move' | 'abort',
  facts: readonly string[] = [],
): ResultError | undefined {
  switch (ending.kind) {
    case 'moved':
    case 'ready':
    case 'kept':
    case 'copied':
      return undefined;
    case 'back':
      if (asked === 'abort') return undefined;
      return { code: 'went-back', message: ending.why, hint: againWords(move) };
    case 'stopped':
      return {
        code: 'stopped',
        message: `stopped by the operator${goesOn(move)}`,
        hint: waysOn(move),
      };
    case 'interrupted':
      return {
        code: ending.why,
        message: `${interruptionWords(ending.why, move)}${ending.detail === undefined ? '' : `: ${ending.detail}`}`,
        hint: waysOn(move, ending.why),
      };
    case 'ask':
      return questionError(ending.question, move, facts);
    default:
      return unreachable(ending);
  }
}

function againWords({ shorten, copy }: MoveRecord): string {
  if (shorten === undefined)
    return `the destination was given up; ${copy === undefined ? 'move' : 'copy'} again`;
  return 'the chain is as long as it was, and shows the guest the same; once that is mended, try again';
}

function interruptionWords(why: Interruption, move: MoveRecord): string {
  const { name } = move.domain;
  switch (why) {
    case 'domain-off':
      if (move.shorten !== undefined) return `${name} is off, and its commit waits for a word`;
      return `${name} is off: the ${move.copy === undefined ? 'move' : 'copy'} goes on when it runs again`;
    case 'domain-saved':
      return `${name} is off, and its memory was saved with its disk as it is: start it (virsh start ${quoteArgument(name)}), or give up what was saved (virsh managedsave-remove ${quoteArgument(name)})`;
    case 'foreign-job':
      return `another block job runs on ${move.disk} of ${name}`;
    case 'disk-changed':
      return `somebody put another image under ${move.disk} of ${name}`;
    case 'destination-taken':
      return `${describeSource(move.destination.source)} is there, and is not ours`;
    case 'copy-failed':
      return `the images of ${move.disk} of ${name} could not be ${move.shorten === undefined ? 'copied' : 'merged'}`;
    case 'return-failed':
      return `the copy of ${move.disk} of ${name} is complete, and the guest could not be taken back to its own image yet`;
    case 'source-changed':
      return `an image below ${move.disk} of ${name}, or its copy, has changed since it was copied`;
    case 'disk-resized':
      return `${move.disk} of ${name} was resized while it was moved, and ${describeSource(move.destination.source)} cannot follow`;
    case 'other-disk':
      return `${move.disk} of ${name} moves together with another disk, which cannot go on`;
    case 'group-incomplete':
      return `${move.disk} of ${name} moves together with ${othersOf(move)}, and a record of these is gone`;
    default:
      return unreachable(why);
  }
}

function othersOf({ disk, group }: MoveRecord): string {
  return group?.disks.filter((other) => other !== disk).join(', ') ?? '';
}

/** What QEMU does without us. */
function goesOn({ copy, shorten }: MoveRecord): string {
  if (copy !== undefined) return '';
  return `; a ${shorten === undefined ? 'copy' : 'block job'} that has begun goes on in QEMU`;
}
