// How a command on a move ended, as data: both views show it, and its exit code is the process's.

import {
  type Ended,
  type LayersSummary,
  type MoveRecord,
  type Question,
  unreachable,
} from '@blockferry/engine';
import { describeSource } from '@blockferry/libvirt';
import { ExitCode } from '../exit-code.ts';
import { shellWord } from '../views/format.ts';

export type ResultOutcome =
  | 'moved'
  | 'committed'
  | 'flattened'
  | 'ready'
  | 'back'
  | 'kept'
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
  /** Files of ours that this command could not or did not remove. */
  readonly leftovers: readonly string[];
  readonly error: ResultError | undefined;
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

/** What an operator types about an open move. */
export function commandsFor({
  domain,
  disk,
  group,
}: MoveRecord): Readonly<Record<'resume' | 'undo' | 'pivot', string>> {
  const name = shellWord(domain.name);
  // Disks that move as one are named by their domain.
  const which = group === undefined ? `${name} ${disk}` : name;
  return {
    resume: `blockferry resume ${name}`,
    undo: `blockferry abort ${which}`,
    pivot: `blockferry pivot ${which}`,
  };
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
  const { resume, undo } = commandsFor(move);
  switch (ending.kind) {
    case 'moved':
    case 'ready':
    case 'kept':
      return undefined;
    case 'back':
      if (asked === 'abort') return undefined;
      return { code: 'went-back', message: ending.why, hint: againWords(move) };
    case 'stopped':
      return {
        code: 'stopped',
        message: `stopped by the operator; a ${move.shorten === undefined ? 'copy' : 'block job'} that has begun goes on in QEMU`,
        hint: `go on: ${resume}\nundo: ${undo}`,
      };
    case 'interrupted':
      return {
        code: ending.why,
        message: `${interruptionWords(ending.why, move)}${ending.detail === undefined ? '' : `: ${ending.detail}`}`,
        hint: `go on: ${resume}\nundo: ${undo}`,
      };
    case 'ask':
      return questionError(ending.question, move, facts);
    default:
      return unreachable(ending);
  }
}

function againWords({ shorten }: MoveRecord): string {
  if (shorten === undefined) return 'the destination was given up; move again';
  return 'the chain is as long as it was, and shows the guest the same; once that is mended, try again';
}

function interruptionWords(why: (Ending & { kind: 'interrupted' })['why'], move: MoveRecord): string {
  const { name } = move.domain;
  switch (why) {
    case 'domain-off':
      return `${name} is off: the move goes on when it runs again`;
    case 'foreign-job':
      return `another block job runs on ${move.disk} of ${name}`;
    case 'disk-changed':
      return `somebody put another image under ${move.disk} of ${name}`;
    case 'destination-taken':
      return `${describeSource(move.destination.source)} is there, and is not ours`;
    case 'copy-failed':
      return `the images of ${move.disk} of ${name} could not be ${move.shorten === undefined ? 'copied' : 'merged'}`;
    case 'source-changed':
      return `an image below ${move.disk} of ${name} was written to since it was copied`;
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

function questionError(question: Question, move: MoveRecord, facts: readonly string[]): ResultError {
  const source = describeSource(move.origin.source);
  const destination = describeSource(move.destination.source);
  const hint = [...facts, ...remedy(question, move)].join('\n');
  return { code: question, message: questionWords(question, move, source, destination), hint };
}

function remedy(question: Question, move: MoveRecord): string[] {
  const { name } = move.domain;
  const { resume } = commandsFor(move);
  switch (question) {
    case 'which-side':
    case 'domain-gone-while-pivoting':
      return [
        'look at both images, then say which one is the truth:',
        `source (${describeSource(move.origin.source)}): ${resume} --use source`,
        `destination (${describeSource(move.destination.source)}): ${resume} --use destination`,
      ];
    case 'unknown-to-libvirt':
      return [
        `do not start ${name} meanwhile: it would run twice`,
        `shut the guest down from inside, or end what has the images open; then go on: ${resume}`,
      ];
    case 'phantom-mirror':
      return [
        `until ${name} is started anew, libvirt refuses block jobs and snapshots of ${move.disk}; do not save or migrate it`,
        `shut it down and start it when that suits, then go on: ${resume}`,
      ];
    default:
      return unreachable(question);
  }
}

function questionWords(
  question: Question,
  { domain: { name }, shorten }: MoveRecord,
  source: string,
  destination: string,
): string {
  const shortens = shorten !== undefined;
  switch (question) {
    case 'which-side':
      return `QEMU ended while ${name} was being switched from ${source} to ${destination}, and they differ: either may hold the guest's last writes. Nothing was removed`;
    case 'domain-gone-while-pivoting':
      return `${name} was transient and ended while it was being switched: ${source} and ${destination} are both kept`;
    case 'unknown-to-libvirt':
      if (shortens) {
        return `${name} is off by libvirt's word, and something has its images open for writing: another blockferry or qemu-img that works on them, or a QEMU that libvirtd has lost. Nothing was removed`;
      }
      return `libvirt says that ${name} does not run, and something has ${source} or ${destination} open for writing: its QEMU still runs, and libvirtd lost it when it ended in the middle of the switch. Nothing was removed; the definition names the image it is on, as far as that can be told`;
    case 'phantom-mirror':
      return `libvirtd ended in the middle of the switch of ${name} from ${source} to ${destination}, and what it shows of the disk is from before: QEMU has finished that copy. The guest runs on, and the definition names the image it is on`;
    default:
      return unreachable(question);
  }
}
