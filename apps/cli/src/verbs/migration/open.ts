// Open migrations, as resume, abort and status come upon them.
import {
  type Context,
  type FoundMigration,
  findMigrations,
  isWhereMigrated,
  type MigrationRecord,
  messageOf,
  migratedFrom,
  type NewOptions,
  Refusal,
  wantHome,
} from '@blockferry/engine';
import { ConnectionUriError } from '@blockferry/libvirt';
import { ExitCode } from '../../exit-code.ts';
import { explain } from '../../outcome/explain.ts';
import { type Asked, bareMigration, commandsOf, partsOf } from '../../outcome/migration.ts';
import { openSession, type Session } from '../../session.ts';
import type { UnclearMigration } from '../../views/human/migration.ts';
import type { MigrationView } from '../../views/migration-view.ts';
import type { Invocation } from '../verb.ts';
import { migrationCommand } from './command.ts';
import { type OpenPair, openPair, recordOf } from './pair.ts';
import { migrateToResult } from './run.ts';

/** Those that have not ended, with their records. */
export async function openMigrations(context: Context, domain?: string): Promise<MigrationRecord[]> {
  const records: MigrationRecord[] = [];
  for (const found of await findMigrations(context, domain)) {
    const record = await recordOf(found);
    if (record !== undefined) records.push(record);
  }
  return records;
}

export interface LookedAtMigrations {
  readonly records: readonly MigrationRecord[];
  readonly unclear: readonly UnclearMigration[];
}

/** For commands that only look: a destination that cannot be reached hides nothing else. */
export async function lookAtMigrations(found: readonly FoundMigration[]): Promise<LookedAtMigrations> {
  const records: MigrationRecord[] = [];
  const unclear: UnclearMigration[] = [];
  for (const each of found) {
    try {
      const record = await recordOf(each);
      if (record !== undefined) records.push(record);
    } catch (error) {
      if (each.kind === 'note') unclear.push({ note: each.note, why: messageOf(error) });
    }
  }
  return { records, unclear };
}

/** A commit of a migration's overlay is a move of its own, and goes on with the migration. */
export function isPartOf(move: { readonly id: string }, migrations: readonly MigrationRecord[]): boolean {
  return migrations.some(({ id }) => move.id.startsWith(`${id}-`));
}

/** Goes on with the domain's open migration; where it has none, does something else. */
export async function unlessMigrating(
  invocation: Invocation,
  {
    domain,
    json,
    asked,
    peer,
  }: { readonly domain: string; readonly json: boolean } & Pick<CarryOn, 'asked' | 'peer'>,
  otherwise: () => Promise<ExitCode>,
): Promise<ExitCode> {
  const { afterStep } = invocation;
  const done = await migrationCommand(invocation, { json, domain }, async ({ session, view, signal }) => {
    const { records, unclear } = await openOn(session.context, domain, peer);
    const [record] = records;
    if (record !== undefined) return carryOn(session, record, view, { asked, peer, signal, afterStep });
    if (unclear[0] !== undefined) return unclearResult(unclear[0], view);
    return asked === 'away' ? migratedResult(session.context, domain, peer, view) : undefined;
  });
  return done ?? otherwise();
}

/** Of one that has ended, whose process did not live to say so. Undefined: the domain is not where it was migrated to. */
async function migratedResult(
  context: Context,
  name: string,
  peer: string | undefined,
  view: MigrationView,
): Promise<ExitCode | undefined> {
  const note = await migratedFrom(context, name);
  if (note === undefined) return undefined;
  const { domain, home, away, images } = note;
  await using there = openSession(peer ?? away);
  // Of a host that cannot be reached the refusal that follows says that it was migrated there.
  if (!(await isWhereMigrated(there.context, note).catch(() => false))) return undefined;
  const sourcesKept = images.map(({ path }) => path);
  const known = { domain: domain.name, home, away, runsOn: 'away', sourcesKept } as const;
  view.result(bareMigration('migrated', ExitCode.DONE, known));
  return ExitCode.DONE;
}

/** Of this domain: by what this host knows of it, or by what the other does, where we are told how that is reached. */
async function openOn(context: Context, domain?: string, peer?: string): Promise<LookedAtMigrations> {
  const here = await findMigrations(context, domain);
  if (peer === undefined || here.some(({ kind }) => kind === 'record')) return lookAtMigrations(here);
  await using there = openSession(peer);
  return await lookAtMigrations(await findMigrations(there.context, domain, { ids: false }));
}

/** Every migration that is open on this connection, one after the other. */
export async function resumeMigrations(
  invocation: Invocation,
  json: boolean,
): Promise<{ readonly worst: ExitCode; readonly stopped: boolean }> {
  const { afterStep } = invocation;
  let worst: ExitCode = ExitCode.DONE;
  let stopped = false;
  const over = await migrationCommand(invocation, { json }, async ({ session, view, signal }) => {
    const { records, unclear } = await openOn(session.context);
    for (const one of unclear) worst = worse(worst, unclearResult(one, view));
    for (const record of records) {
      const how = { asked: 'away', peer: undefined, signal, afterStep } as const;
      // One whose other host is another by now holds up none of the rest.
      const ended = carryOn(session, record, view, how).catch((error: unknown) =>
        failed(record, view, error),
      );
      worst = worse(worst, await ended);
      stopped = signal.aborted;
      if (stopped) break;
    }
    return undefined;
  });
  return { worst: over ?? worst, stopped };
}

function worse(one: ExitCode, other: ExitCode): ExitCode {
  return one > other ? one : other;
}

function failed(record: MigrationRecord, view: MigrationView, error: unknown): ExitCode {
  const { outcome, exitCode, error: words } = explain(error, true);
  view.result(bareMigration(outcome, exitCode, { ...partsOf(record), error: words }));
  return exitCode;
}

function unclearResult({ note, why }: UnclearMigration, view: MigrationView): ExitCode {
  const { domain, home, away } = note;
  const hint = `if the destination is reached otherwise from here: ${commandsOf(note, 'URI').resume}`;
  const error = { code: 'migration-unclear', message: `its record is at ${away}: ${why}`, hint };
  const known = { domain: domain.name, home, away, error };
  view.result(bareMigration('interrupted', ExitCode.RESUMABLE, known));
  return ExitCode.RESUMABLE;
}

export interface CarryOn {
  readonly asked: Asked;
  readonly peer: string | undefined;
  readonly signal: AbortSignal;
  readonly afterStep: ((step: string) => void) | undefined;
  /** Given with the command that is typed again. */
  readonly newOptions?: NewOptions;
}

/** Goes on with it, in the direction that is asked for. */
export async function carryOn(
  session: Session,
  record: MigrationRecord,
  view: MigrationView,
  { asked, peer, signal, afterStep, newOptions }: CarryOn,
): Promise<ExitCode> {
  const open = await openPair(session, record, peer).catch((error: unknown) => error);
  if (!isOpenPair(open)) return notReached(record, view, open, peer);
  await using _ = open;
  const wanted = asked === 'home' ? await wantHome(open.pair, record) : record;
  view.continuing(wanted);
  const direction = asked === 'home' || wanted.goal === 'home' ? 'home' : 'away';
  // Awaited here: the other host stays open until it has ended.
  return await migrateToResult(open.pair, wanted, view, {
    ...{ asked: direction, waits: asked === 'home', signal, afterStep, recorded: true, peer },
    ...(newOptions !== undefined && { newOptions }),
  });
}

function isOpenPair(opened: unknown): opened is OpenPair {
  return typeof opened === 'object' && opened !== null && 'pair' in opened;
}

/** The record stands, wherever the other host is. @throws the error, if it is one that says what to do */
function notReached(
  record: MigrationRecord,
  view: MigrationView,
  error: unknown,
  peer: string | undefined,
): ExitCode {
  if (error instanceof Refusal || error instanceof ConnectionUriError) throw error;
  const { exitCode, error: words } = explain(error, true);
  const { resume } = commandsOf(record, peer ?? 'URI');
  const hint = `if the other host is reached otherwise from here: ${resume}`;
  const known = { ...partsOf(record), error: { ...words, hint } };
  view.result(bareMigration('interrupted', exitCode, known));
  return exitCode;
}
