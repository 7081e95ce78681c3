// blockferry backup: all disks of a domain at one instant, full or what changed since; and care of what is there.
import { type BackupRecord, type BackupRequest, backupInto, preflightBackup } from '@blockferry/engine';
import type { Command } from 'commander';
import { GUARD_OPTION, parseGuard } from '../arguments/guard.ts';
import { pathOnHost } from '../arguments/path-on-host.ts';
import { parseRate } from '../arguments/size.ts';
import { UsageError } from '../arguments/usage-error.ts';
import { ExitCode } from '../exit-code.ts';
import { orInterrupted } from '../terminal/interrupt.ts';
import { configureList } from './backup/list.ts';
import { configurePrune } from './backup/prune.ts';
import { configureVerify } from './backup/verify.ts';
import { addDryRun, type DryRunOption } from './dry-run.ts';
import { type BackupTools, backupCommand, runBackupToResult } from './run-backup.ts';
import type { Invocation, Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry backup web /backup/web                       every disk, at one instant, with its whole chain
  blockferry backup web /backup/web --incremental         what changed since the last one there
  blockferry backup web /backup/web --flatten --compress  one image a disk
  blockferry backup web /backup/web vda --quiesce require
  blockferry backup list /backup/web
  blockferry backup verify /backup/web
  blockferry backup prune /backup/web --keep-last 7 --keep-weekly 4

DIR holds the backups of one domain, one directory each; it is made if its parent is there. The guest runs on. Its
file systems are frozen for the instant if its agent answers. Disks in LUKS stay in LUKS, increments too. Ctrl-C stops
cleanly: the same command, or blockferry resume web, goes on. blockferry restore brings a backup back.
`;

interface BackupFlags extends DryRunOption {
  readonly incremental?: boolean;
  readonly flatten?: boolean;
  readonly compress?: boolean;
  readonly quiesce?: string;
  readonly verify?: string;
  readonly guard?: string;
  readonly bandwidth?: string;
  readonly bytes?: boolean;
  readonly overlayDir?: string;
  /** Undefined: true. Commander forgets defaults of options that are declared when the verb is known. */
  readonly checkpoint?: boolean;
  readonly json?: boolean;
}

export const backup: Verb = {
  configure(command: Command, run) {
    addDryRun(command)
      .argument('<domain>', 'name, UUID or id')
      .argument('<dir>', 'a directory on the host, for the backups of this domain')
      .argument('[disk...]', 'targets (vda) or paths of images; default: every disk')
      .usage('DOMAIN DIR [DISK...] [options]\n       … list|verify|prune DIR [options]')
      .option('--incremental', 'only what changed since the newest backup in DIR')
      .option('--flatten', 'one image a disk, instead of its whole chain')
      .option('--compress', 'with --flatten: compressed clusters, in qcow2')
      .option('--quiesce <how>', "auto, require or off: freeze the guest's file systems for the instant")
      .option('--verify <how>', 'full or none: read a full backup back from its storage and compare')
      .option(...GUARD_OPTION)
      .option('--bandwidth <rate>', 'limit a full backup: 100M, 1.5G, or a plain number in MiB/s')
      .option('--bytes', 'a plain --bandwidth is in bytes a second')
      .option('--overlay-dir <dir>', "where the guest's writes go while its images are copied")
      .option('--no-checkpoint', 'make no checkpoint: no increment can follow a full backup')
      .option('--json', 'one JSON object a line on stdout')
      .helpCommand(false)
      .addHelpText('after', EXAMPLES)
      .action((domain: string, dir: string, disks: readonly string[], flags: BackupFlags) =>
        run((invocation) =>
          backupCommand(invocation, flags.json ?? false, (tools) =>
            runBackupVerb(tools, invocation, { domain, dir, disks }, flags),
          ),
        ),
      );
    configureList(command, run);
    configureVerify(command, run);
    configurePrune(command, run);
  },
};

interface Named {
  readonly domain: string;
  readonly dir: string;
  readonly disks: readonly string[];
}

async function runBackupVerb(
  { context, host, view, signal }: BackupTools,
  { afterStep }: Invocation,
  named: Named,
  flags: BackupFlags,
): Promise<ExitCode> {
  const request = requestOf({ ...named, dir: pathOnHost(host, named.dir) }, flags);
  const open = await orInterrupted(backupInto(host, request.directory), signal);
  const isSame = open !== undefined && isAbout(open, request) && !flags.dryRun;
  if (isSame) {
    view.continuing(open);
    const ended = await runBackupToResult(context, open, 'continue', { view, signal, afterStep });
    view.backedUp(ended);
    return ended.exitCode;
  }
  const plan = await orInterrupted(preflightBackup(context, request), signal);
  view.plan(plan);
  if (flags.dryRun) return ExitCode.DONE;
  const ended = await runBackupToResult(context, plan.record, 'make', { view, signal, afterStep });
  view.backedUp(ended);
  return ended.exitCode;
}

/** The same command goes on with what it began. */
function isAbout({ domain, kind, goal }: BackupRecord, request: BackupRequest): boolean {
  const isDomain = domain.name === request.domain || domain.uuid === request.domain.toLowerCase();
  return isDomain && kind === request.kind && goal === 'finish';
}

/** @throws UsageError */
function requestOf({ domain, dir, disks }: Named, flags: BackupFlags): BackupRequest {
  const { incremental = false, flatten = false, compress = false, overlayDir } = flags;
  if (incremental && (flatten || compress)) {
    throw new UsageError('--incremental is one image a disk anyway', 'leave --flatten and --compress out');
  }
  if (compress && !flatten) throw new UsageError('--compress is for one image a disk', 'add --flatten');
  const guard = parseGuard(flags.guard);
  const bandwidth =
    flags.bandwidth === undefined
      ? undefined
      : parseRate(flags.bandwidth, '--bandwidth', { bytes: flags.bytes ?? false });
  return {
    domain,
    directory: dir,
    disks,
    kind: incremental ? 'incremental' : 'full',
    quiesce: oneOf('--quiesce', flags.quiesce ?? 'auto', ['auto', 'require', 'off']),
    checkpoint: flags.checkpoint ?? true,
    copying: {
      flatten,
      compressed: compress,
      verify: oneOf('--verify', flags.verify ?? 'full', ['full', 'none']) === 'full',
      ...(guard !== 'off' && { guard }),
      ...(bandwidth !== undefined && { bandwidth }),
      ...(overlayDir !== undefined && { overlayDirectory: overlayDir }),
    },
  };
}

function oneOf<const T extends string>(option: string, given: string, words: readonly T[]): T {
  const found = words.find((word) => word === given);
  if (found !== undefined) return found;
  throw new UsageError(`${option} ${given}: ${words.slice(0, -1).join(', ')} or ${words.at(-1)}`);
}
