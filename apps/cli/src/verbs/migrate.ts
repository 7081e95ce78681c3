// blockferry migrate: a domain to another host that shares no storage with this one.
import { dirname, resolve } from 'node:path';
import {
  type MigrationRecord,
  type MigrationRequest,
  type NewOptions,
  type Pair,
  preflightMigration,
  Refusal,
} from '@blockferry/engine';
import { describeSource, TransportFailed } from '@blockferry/libvirt';
import { quoteArgument } from '@blockferry/qemu';
import type { Command } from 'commander';
import { GUARD_OPTION, parseGuard } from '../arguments/guard.ts';
import { parseRate } from '../arguments/size.ts';
import { UsageError } from '../arguments/usage-error.ts';
import { ExitCode } from '../exit-code.ts';
import { explain } from '../outcome/explain.ts';
import { bareMigration } from '../outcome/migration.ts';
import { openSession } from '../session.ts';
import { orInterrupted } from '../terminal/interrupt.ts';
import { addDryRun, type DryRunOption } from './dry-run.ts';
import { type MigrationTools, migrationCommand } from './migration/command.ts';
import { carryOn, openMigrations } from './migration/open.ts';
import { sideOf } from './migration/pair.ts';
import { migrateToResult } from './migration/run.ts';
import type { Invocation, Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry migrate web qemu+ssh://root@host2/system
      the running domain, its disks to the same paths there
  blockferry migrate web qemu+ssh://root@host2/system --dest-dir /srv/images --bandwidth 200M
  blockferry migrate web qemu+ssh://root@host2/system --migrateuri tcp://10.0.0.2
      the memory goes over this network
  blockferry migrate web qemu+ssh://root@host2/system --offline
      a domain that is off: with the variables of its firmware and the state of its TPM
  blockferry migrate web qemu+ssh://root@host2/system --dry-run
      what it would do; nothing is touched

A disk in LUKS stays in LUKS, if the other host's libvirt has its secret under the same UUID.
Ctrl-C stops cleanly, the domain at home: the same command, or blockferry resume web, goes on.
`;

interface MigrateOptions extends DryRunOption {
  readonly offline?: boolean;
  readonly live?: boolean;
  readonly destDir?: string;
  readonly bandwidth?: string;
  readonly bytes?: boolean;
  readonly guard?: string;
  readonly verify?: string;
  readonly migrateuri?: string;
  readonly autoConverge?: boolean;
  readonly tls?: boolean;
  readonly tlsDestination?: string;
  readonly json?: boolean;
}

export const migrate: Verb = {
  configure(command: Command, run) {
    addDryRun(command)
      .argument('<domain>', 'name, UUID or id')
      .argument('<uri>', "the other host's libvirt, as it is reached from here")
      .usage('DOMAIN URI [options]')
      .option('--offline', 'the domain is off, and stays off')
      .option(
        '--dest-dir <dir>',
        'all images go into this directory there (default: the paths they have here)',
      )
      .option('--bandwidth <rate>', 'limit copy and migration: 100M, 1.5G, or a plain number in MiB/s')
      .option('--bytes', 'a plain --bandwidth is in bytes a second')
      .option(...GUARD_OPTION)
      .option('--verify <how>', 'full or none: read the copies back and compare')
      .option('--migrateuri <uri>', 'where QEMU sends memory and overlays to, such as tcp://10.0.0.2')
      .option(
        '--tls',
        'encrypt copies, memory and overlays with the certificates that libvirt has for migrations',
      )
      .option('--tls-destination <name>', "the name in the destination's certificate")
      .option('--auto-converge', 'slow the guest down if it writes to its memory faster than that is sent')
      .option('--json', 'one JSON object a line on stdout')
      .addOption(command.createOption('--live', 'what we do anyway').hideHelp())
      .addHelpText('after', EXAMPLES)
      .action((domain: string, uri: string, options: MigrateOptions) =>
        run((invocation) => runMigrate(invocation, domain, uri, options)),
      );
  },
};

function runMigrate(
  invocation: Invocation,
  domain: string,
  uri: string,
  options: MigrateOptions,
): Promise<ExitCode> {
  return migrationCommand(invocation, { json: options.json ?? false, domain }, async (tools) => {
    const request = requestOf(domain, uri, options);
    await using there = openSession(uri);
    const pair: Pair = { home: sideOf(tools.session.context), away: sideOf(there.context) };
    const missing = await notReached(there.context.link, domain, tools);
    if (missing !== undefined) return missing;
    const preflight = preflightMigration(pair, request);
    try {
      const found = await orInterrupted(preflight, tools.signal);
      tools.view.plan(found, options.dryRun ?? false);
      if (options.dryRun) return ExitCode.DONE;
      const { afterStep } = invocation;
      const how = { asked: 'away', signal: tools.signal, afterStep, recorded: false } as const;
      return await migrateToResult(pair, found.record, tools.view, how);
    } catch (error) {
      if (options.dryRun) throw error;
      const away = there.context.link.uri ?? uri;
      return continued(tools, invocation, { domain, away, options, uri }, error);
    }
  });
}

/** Which of the two hosts it is that cannot be reached. */
async function notReached(
  link: MigrationTools['session']['context']['link'],
  domain: string,
  { view, signal }: MigrationTools,
): Promise<ExitCode | undefined> {
  try {
    await orInterrupted(link.connection(), signal);
    return undefined;
  } catch (error) {
    if (!(error instanceof TransportFailed)) throw error;
    const { outcome, exitCode, error: words } = explain(error);
    const message = `the destination: ${words.message}`;
    const hint = `blockferry -c ${quoteArgument(link.uri ?? '')} doctor says what is missing there`;
    view.result(bareMigration(outcome, exitCode, { domain, error: { ...words, message, hint } }));
    return exitCode;
  }
}

/** The copies go where they are asked to, as far as that is said. */
function goesTo({ disks }: MigrationRecord, directory: string | undefined): boolean {
  if (directory === undefined) return true;
  const paths = disks.map(({ layers }) => describeSource(layers[0].to.source));
  return paths.every((path) => dirname(path) === resolve(directory));
}

/** Preflight has many reasons against a domain that is being migrated; whichever it was, the same migration goes on. */
async function continued(
  { session, view, signal }: MigrationTools,
  { afterStep }: Invocation,
  {
    domain,
    away,
    uri,
    options,
  }: {
    readonly domain: string;
    readonly away: string;
    readonly uri: string;
    readonly options: MigrateOptions;
  },
  error: unknown,
): Promise<ExitCode> {
  if (!(error instanceof Refusal)) throw error;
  const open = await openMigrations(session.context, domain).catch(() => []);
  const same = open.find(
    (record) => record.goal === 'away' && record.away === away && goesTo(record, options.destDir),
  );
  if (same === undefined) throw error;
  return carryOn(session, same, view, {
    ...{ asked: 'away', peer: undefined, signal, afterStep },
    newOptions: newOptionsOf(uri, options),
  });
}

/** Those that are on this command line: the ones that it leaves out stay as they were. */
function newOptionsOf(uri: string, options: MigrateOptions): NewOptions {
  const { verify, guard, bandwidth, migrateUri, autoConverge, tls } = requestOf('', uri, options);
  return {
    ...(options.verify !== undefined && { verify }),
    ...(options.guard !== undefined && { guard: guard ?? 'off' }),
    ...(options.bandwidth !== undefined && { bandwidth: bandwidth ?? 'off' }),
    ...(migrateUri !== undefined && { migrateUri }),
    ...(autoConverge && { autoConverge }),
    ...(tls !== undefined && { tls }),
  };
}

function requestOf(domain: string, uri: string, options: MigrateOptions): MigrationRequest {
  const guard = parseGuard(options.guard);
  const { bandwidth, bytes = false, verify = 'full', destDir, migrateuri } = options;
  const rate = bandwidth === undefined ? 0n : parseRate(bandwidth, '--bandwidth', { bytes });
  if (verify !== 'full' && verify !== 'none') {
    throw new UsageError(`--verify ${verify}: there is nothing of that name`, 'full or none');
  }
  if (migrateuri !== undefined && !/^(tcp|rdma):(\/\/)?[^/]/.test(migrateuri)) {
    const hint = 'for example --migrateuri tcp://10.0.0.2';
    throw new UsageError(`--migrateuri ${migrateuri}: it is no address that QEMU sends to`, hint);
  }
  if (destDir !== undefined && !destDir.startsWith('/')) {
    throw new UsageError(`--dest-dir ${destDir}: on another host it must be absolute`);
  }
  return {
    domain,
    offline: options.offline ?? false,
    ...(destDir !== undefined && { destinationDirectory: destDir }),
    verify: verify === 'full',
    ...(guard !== 'off' && { guard }),
    ...(rate > 0n && { bandwidth: rate }),
    ...(migrateuri !== undefined && { migrateUri: migrateuri }),
    autoConverge: options.autoConverge ?? false,
    ...tlsOf(uri, options),
  };
}

/** The copies go to where the memory goes, else to where libvirt is. */
function tlsOf(uri: string, options: MigrateOptions): Pick<MigrationRequest, 'tls'> {
  const { tls = false, tlsDestination: name, migrateuri } = options;
  if (!tls && name !== undefined) throw new UsageError('--tls-destination is for --tls');
  if (!tls) return {};
  const host = hostIn(migrateuri) ?? hostIn(uri);
  if (host === undefined) {
    const hint = 'for example --migrateuri tcp://10.0.0.2';
    throw new UsageError('--tls: no host is named that the copies could go to', hint);
  }
  return { tls: { host, ...(name !== undefined && { name }) } };
}

function hostIn(uri: string | undefined): string | undefined {
  const found = /^[a-z0-9+]+:(?:\/\/)?(?:[^@/]*@)?(\[[^\]]+\]|[^:/?#]+)/i.exec(uri ?? '')?.[1];
  return found?.replace(/^\[|\]$/g, '');
}
