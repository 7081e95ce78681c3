// How a command on a migration ended, as data: both views show it, and its exit code is the process's.
import type { MigrationEnded, MigrationRecord, Whereabouts } from '@blockferry/engine';
import { unreachable } from '@blockferry/engine';
import { describeSource } from '@blockferry/libvirt';
import { quoteArgument } from '@blockferry/qemu';
import { ExitCode } from '../exit-code.ts';
import type { ResultError, ResultOutcome } from './result.ts';

export interface MigrationResult {
  readonly outcome: ResultOutcome | 'migrated';
  readonly exitCode: ExitCode;
  readonly domain: string | undefined;
  readonly home: string | undefined;
  readonly away: string | undefined;
  /** Where the domain runs (one that was migrated off: where it is defined); undefined if that could not be seen. */
  readonly runsOn: 'home' | 'away' | 'both' | 'neither' | undefined;
  readonly downtimeMs: number | undefined;
  readonly freezeMs: number | undefined;
  readonly durationMs: number | undefined;
  readonly bytes: bigint | undefined;
  readonly copiedBefore: bigint | undefined;
  readonly verifiedBytes: bigint | undefined;
  readonly disks: readonly { readonly disk: string; readonly source: string; readonly destination: string }[];
  /** Images and NVRAM at home that the domain has left. */
  readonly sourcesKept: readonly string[];
  readonly error: ResultError | undefined;
}

export function bareMigration(
  outcome: MigrationResult['outcome'],
  exitCode: ExitCode,
  known: Partial<MigrationResult> = {},
): MigrationResult {
  return {
    domain: undefined,
    home: undefined,
    away: undefined,
    runsOn: undefined,
    downtimeMs: undefined,
    freezeMs: undefined,
    durationMs: undefined,
    bytes: undefined,
    copiedBefore: undefined,
    verifiedBytes: undefined,
    disks: [],
    sourcesKept: [],
    error: undefined,
    ...known,
    outcome,
    exitCode,
  };
}

/** What is known of a migration whatever became of it. */
export function partsOf(record: MigrationRecord): Partial<MigrationResult> {
  return {
    domain: record.domain.name,
    home: record.home,
    away: record.away,
    disks: record.disks.map(({ target, origin, layers }) => ({
      disk: target,
      source: describeSource(origin.source),
      destination: describeSource(layers[0].to.source),
    })),
  };
}

export type Asked = 'away' | 'home';

/** Pure. @param peer as given with --peer, so that advised commands carry it */
export function judgeMigration(
  { ending, record, ...figures }: MigrationEnded,
  asked: Asked,
  where: Whereabouts | undefined,
  peer?: string,
): MigrationResult {
  const known: Partial<MigrationResult> = {
    ...partsOf(record),
    runsOn: where && runsOn(where, record),
    downtimeMs: figures.downtimeMs,
    freezeMs: figures.freezeMs,
    durationMs: figures.durationMs,
    bytes: figures.copied,
    copiedBefore: figures.copiedBefore,
    verifiedBytes: figures.verified,
  };
  const { resume, undo } = commandsOf(record, peer);
  const hint = `go on: ${resume}\nundo: ${undo}`;
  const sourcesKept = figures.left ?? sourcesOf(record);
  switch (ending.kind) {
    case 'migrated':
      return bareMigration('migrated', ExitCode.DONE, { ...known, sourcesKept });
    case 'back': {
      if (where?.home === 'gone') {
        const error = goneError(record);
        return bareMigration('question', ExitCode.NEEDS_PERSON, { ...known, error });
      }
      if (asked === 'home') return bareMigration('back', ExitCode.DONE, known);
      return bareMigration('back', ExitCode.FAILED, {
        ...known,
        error: { code: 'went-back', message: ending.why, hint: 'the copies were given up; migrate again' },
      });
    }
    case 'stopped': {
      const error = { code: 'stopped', message: 'stopped by the operator', hint };
      return bareMigration('stopped', ExitCode.RESUMABLE, { ...known, error });
    }
    case 'interrupted': {
      const detail = ending.detail === undefined ? '' : `: ${ending.detail}`;
      const message = `${interruptionWords(ending.why, record)}${detail}`;
      return bareMigration('interrupted', ExitCode.RESUMABLE, {
        ...known,
        error: { code: ending.why, message, hint: `${hint}${anewHint(ending.why, record)}` },
      });
    }
    case 'ask':
      return bareMigration('question', ExitCode.NEEDS_PERSON, {
        ...known,
        error: questionError(ending.question, record, peer),
      });
    default:
      return unreachable(ending);
  }
}

export function commandsOf(
  { domain }: Pick<MigrationRecord, 'domain'>,
  peer?: string,
): { readonly resume: string; readonly undo: string } {
  const other = peer === undefined ? '' : ` --peer ${quoteArgument(peer)}`;
  const name = `${quoteArgument(domain.name)}${other}`;
  return { resume: `blockferry resume ${name}`, undo: `blockferry abort ${name}` };
}

function runsOn({ home, away }: Whereabouts, { mode }: MigrationRecord): MigrationResult['runsOn'] {
  const [here, there] =
    mode === 'live'
      ? [home !== 'off' && home !== 'gone' && home !== 'stranded', away === 'running']
      : [home !== 'gone', away !== 'gone' && away !== 'foreign'];
  if (here) return there ? 'both' : 'home';
  return there ? 'away' : 'neither';
}

function sourcesOf({ disks }: MigrationRecord): string[] {
  return disks.flatMap(({ layers }) => layers.map(({ from }) => describeSource(from.source)));
}

/** Undefined by somebody while it was migrated: it is back nowhere, and its images are all that there is of it. */
function goneError({ domain: { name }, home, disks }: MigrationRecord): ResultError {
  const overlays = disks.map(({ target, overlay }) => `${target}: ${describeSource(overlay.home.source)}`);
  return {
    code: 'domain-gone',
    message: `${name} is on neither host: somebody has undefined it. The copies were removed, and the migration is over; its images at ${home} are left as they are`,
    hint: `what it wrote since it was frozen is in its overlays, if they are there; define it again with its disks on them (${overlays.join(', ')})`,
  };
}

type Interruption = (MigrationEnded['ending'] & { kind: 'interrupted' })['why'];

function interruptionWords(why: Interruption, { domain: { name }, away }: MigrationRecord): string {
  switch (why) {
    case 'domain-off':
      return `${name} is off: the migration goes on when it runs again`;
    case 'domain-saved':
      return `${name} was saved with its disks as they are, and goes on from them: start it first (virsh start ${quoteArgument(name)})`;
    case 'domain-running':
      return `${name} runs, and was to be migrated while it is off`;
    case 'domain-paused':
      return `${name} is paused: the migration goes on when it runs again`;
    case 'domain-gone':
      return `${name} is on neither host`;
    case 'disk-changed':
      return `a disk of ${name} is on another image than the migration left it on`;
    case 'destination-taken':
      return `something at ${away} has the name of ${name} or of a copy, and is not ours`;
    case 'copy-failed':
      return `the images of ${name} could not be copied`;
    case 'source-changed':
      return `an image of ${name} was written to since it was copied`;
    case 'crossing-failed':
      return `libvirt could not migrate ${name}, which runs on at home`;
    default:
      return unreachable(why);
  }
}

/** What it was begun with may be why: a name that home does not resolve, a guest that writes too fast. */
function anewHint(why: Interruption, { domain, home, away, goal }: MigrationRecord): string {
  if (why !== 'crossing-failed' || goal === 'home') return '';
  const [here, there] = [quoteArgument(home), quoteArgument(away)];
  const again = `blockferry -c ${here} migrate ${quoteArgument(domain.name)} ${there}`;
  return `\ngo on over another address, or with other options: ${again} --migrateuri tcp://ADDRESS`;
}

type Question = (MigrationEnded['ending'] & { kind: 'ask' })['question'];

function questionError(question: Question, record: MigrationRecord, peer: string | undefined): ResultError {
  const { domain, home, away } = record;
  const { resume, undo } = commandsOf(record, peer);
  const name = quoteArgument(domain.name);
  switch (question) {
    case 'runs-on-both':
      return {
        code: question,
        message: `${domain.name} is alive at ${home} and was given to ${away}: somebody has started or resumed it by hand. Nothing was removed`,
        hint: `look at both, and end the one that is not to be: virsh destroy ${name}, at the destination with virsh undefine ${name}\nthen go on: ${resume}`,
      };
    case 'lost-away':
      return {
        code: question,
        message: `${domain.name} was told to run at ${away}, and is not known there any more. At home it stands as it was when it was given away. Nothing was removed`,
        hint: `if it is to be found there (an image, a definition), define it again and go on: ${resume}\nif it is to go on at home, without what it did there: ${undo}`,
      };
    case 'both-written': {
      const overlays = record.disks.map(({ overlay }) => describeSource(overlay.home.source)).join(', ');
      const below = record.disks.map(({ origin }) => describeSource(origin.source)).join(', ');
      return {
        code: question,
        message: `QEMU ended right after ${domain.name} was put on its overlays at home (${overlays}), where there is what the guest wrote in that moment; and what is below them (${below}) was written to since. What the two hold cannot be joined. Nothing was removed`,
        hint: `look at both; to go on without what the overlays hold, move them away, and then: ${resume}`,
      };
    }
    case 'which-side':
      return {
        code: question,
        message: `QEMU ended while an overlay of ${domain.name} was being committed, and the two images differ: either may hold the last writes. Nothing was removed`,
        hint: `the overlay is right: ${resume} --use source\nthe image below it is right: ${resume} --use destination`,
      };
    default:
      return unreachable(question);
  }
}
