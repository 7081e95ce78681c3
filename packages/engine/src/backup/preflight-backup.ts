// Everything that speaks against a backup is said here, before anything is touched; the rest becomes its record.
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { DomainXml } from '@blockferry/libvirt';
import { type Host, quoteArgument } from '@blockferry/qemu';
import { mustNotMigrate } from '../migrate/under-way.ts';
import { Refusal } from '../model/errors.ts';
import type { Quiesce } from '../model/record.ts';
import type { Bytes } from '../model/units.ts';
import { type Definitions, readDefinitions } from '../observe/definitions.ts';
import { ANSWER_WITHIN_MS, answered, lookAt, mustServe } from '../preflight/look.ts';
import { mustBeReachable } from '../preflight/reach.ts';
import { findDomain } from '../preflight/situation.ts';
import { underWay } from '../preflight/under-way.ts';
import type { Warning } from '../preflight/warning.ts';
import type { Context } from '../run/context.ts';
import { findMoves } from '../run/find-moves.ts';
import { hasRoom, tooSmall } from '../space/room.ts';
import { checkpointName } from './checkpoints.ts';
import { backupInto } from './find-backups.ts';
import { foreseeFull } from './foresee-full.ts';
import { foreseeIncrement } from './foresee-increment.ts';
import { pointName } from './layout.ts';
import type { BackupDisk, BackupRecord, CopyingPart, PointKind } from './model.ts';
import { backupUnderWay } from './observe.ts';
import { type Point, readPoints } from './points.ts';
import { openBackupOf } from './record.ts';
import { foreseeTpm } from './tpm.ts';
import { backupUnderWayRefusal } from './under-way.ts';

export interface BackupRequest {
  /** Name or UUID. */
  readonly domain: string;
  /** Absolute. Made if it is not there and its parent is. */
  readonly directory: string;
  /** Targets; none: every disk, or of an increment those of the point before. */
  readonly disks: readonly string[];
  readonly kind: PointKind;
  /** Of a full one. */
  readonly copying: CopyingPart;
  readonly quiesce: Quiesce;
  /** Make a checkpoint, so that increments can follow. */
  readonly checkpoint: boolean;
}

export interface BackupPreflight {
  readonly record: BackupRecord;
  /** To be copied, as far as can be told. */
  readonly bytes: Bytes;
  readonly warnings: readonly Warning[];
}

/** What each kind of backup finds out by itself. */
export interface Foreseen {
  readonly disks: readonly BackupDisk[];
  readonly bytes: Bytes;
  readonly warnings: readonly Warning[];
  readonly parent?: NonNullable<BackupRecord['parent']>;
  /** Why no checkpoint can be made, so that no increment can follow. */
  readonly noCheckpoint?: string;
}

/** What both kinds are told of the domain and the directory. */
export interface BackupSituation {
  readonly context: Context;
  readonly host: Host;
  readonly definitions: Definitions;
  /** The live definition; of a domain that is off, the persistent one. */
  readonly live: DomainXml;
  readonly points: readonly Point[];
  /** Of the points to be: the directory, or the one that it is made in. */
  readonly nearest: string;
  readonly request: BackupRequest;
  readonly point: string;
}

/** @throws Refusal, with nothing touched */
export async function preflightBackup(context: Context, request: BackupRequest): Promise<BackupPreflight> {
  const situation = await gather(context, request);
  const { definitions, points, point } = situation;
  mustBeOfDomain(situation);
  await mustBeFree(situation);
  const foreseen = await (request.kind === 'full' ? foreseeFull(situation) : foreseeIncrement(situation));
  await mustHaveRoom(situation, foreseen.bytes);
  const id = randomBytes(4).toString('hex');
  const set = setOf(points) ?? id;
  const wanted = request.checkpoint && definitions.running && foreseen.noCheckpoint === undefined;
  const besides = await foreseeBesides(situation);
  const record: BackupRecord = {
    version: 1,
    id,
    set,
    domain: nameOf(situation),
    directory: request.directory,
    point,
    kind: request.kind,
    time: timeOf(point),
    copying: request.copying,
    running: definitions.running,
    quiesce: request.quiesce,
    disks: foreseen.disks,
    ...(foreseen.parent && { parent: foreseen.parent }),
    ...(wanted && { checkpoint: checkpointName(set, id, 0) }),
    attempt: 0,
    ...besides.paths,
    phase: 'preparing',
    goal: 'finish',
    revision: 0,
  };
  return {
    record,
    bytes: foreseen.bytes,
    warnings: [...foreseen.warnings, ...warningsFor(situation, foreseen), ...besides.warnings],
  };
}

async function gather(context: Context, request: BackupRequest): Promise<BackupSituation> {
  const { host, link } = context;
  if (host === undefined) {
    const why = 'backups are made by tools on the host, and this connection gives no way to run any there';
    throw new Refusal('no-host', why, {}, 'use a connection over ssh, or run it on that host');
  }
  const connection = await link.connection();
  const { uuid } = await findDomain(connection, request.domain);
  const definitions = await readDefinitions(connection, uuid);
  const live = definitions?.live ?? definitions?.config;
  if (definitions === undefined || live === undefined) throw new Error(`${request.domain} is gone`);
  const { points, nearest } = await lookAtDirectory(host, request.directory);
  const point = newPoint(points, request.kind);
  return { context, host, definitions, live, points, nearest, request, point };
}

async function lookAtDirectory(host: Host, directory: string) {
  const stat = await lookAt(host, directory);
  if (stat?.type === 'directory') return { points: await readPoints(host, directory), nearest: directory };
  if (stat !== null) {
    throw new Refusal('no-backup-directory', `${directory} is a ${stat.type}`, { path: directory });
  }
  const parent = dirname(directory);
  if ((await lookAt(host, parent))?.type === 'directory') return { points: [], nearest: parent };
  const hint = `make it: mkdir -p ${quoteArgument(directory)}`;
  throw new Refusal('no-such-directory', `${parent} does not exist`, { path: parent }, hint);
}

/** Names tell seconds: a second backup within one takes the next. */
function newPoint(points: readonly Point[], kind: PointKind): string {
  const last = points.at(-1)?.name;
  // It must be the last by name, whatever the clock says: the order of names is that of time.
  const next = last === undefined ? 0 : (Date.parse(timeOf(last)) || 0) + 1000;
  return pointName(new Date(Math.max(Date.now(), next)), kind);
}

function timeOf(point: string): string {
  const [, date, h, m, s] = /^(.{10})T(..)-(..)-(..)Z/.exec(point) ?? [];
  return `${date}T${h}:${m}:${s}Z`;
}

function nameOf({ live, definitions }: BackupSituation): BackupRecord['domain'] {
  return { name: live.name, uuid: definitions.domain.uuid };
}

/** One directory, one domain: increments, retention and checkpoints are all about one. */
function mustBeOfDomain({ points, request, live, definitions }: BackupSituation): void {
  const other = points.find(
    (each) => each.kind === 'sealed' && each.manifest.domain.uuid !== definitions.domain.uuid,
  );
  if (other?.kind !== 'sealed') return;
  const { name } = other.manifest.domain;
  throw new Refusal(
    'other-domain',
    `${request.directory} holds backups of ${name} (${other.manifest.domain.uuid}), which is another domain`,
    { path: request.directory },
    `give ${live.name} a directory of its own: ${join(request.directory, live.name)}`,
  );
}

/** Nothing else of ours, of libvirt's or of QEMU's is under way there. */
async function mustBeFree({ context, host, definitions, live, request }: BackupSituation): Promise<void> {
  mustNotMigrate(definitions);
  const open = openBackupOf(definitions) ?? (await backupInto(host, request.directory));
  if (open !== undefined) throw backupUnderWayRefusal(open);
  const [move] = await findMoves(context, definitions.domain.uuid);
  if (move !== undefined) throw underWay(move);
  if (!definitions.running || (await backupUnderWay(definitions.domain)) === undefined) return;
  throw new Refusal(
    'backup-runs',
    `a backup of ${live.name} is running, which is none of ours`,
    {},
    `wait for it, or: virsh domjobabort ${quoteArgument(live.name)}`,
  );
}

async function mustHaveRoom(
  { host, nearest, live, definitions, request, point }: BackupSituation,
  bytes: Bytes,
) {
  const path = join(request.directory, point, 'disk');
  if (definitions.running) await mustBeReachable(host, live, { kind: 'file', path });
  const space = await answered(nearest, host.statfs(nearest, { timeoutMs: ANSWER_WITHIN_MS }));
  if (!hasRoom(bytes, space)) {
    const hint = `make room there: blockferry backup prune ${quoteArgument(request.directory)} --keep-last N`;
    throw tooSmall('the backup needs', bytes, nearest, space, hint);
  }
  await mustServe(host, join(nearest, 'probe'));
}

function setOf(points: readonly Point[]): string | undefined {
  const last = points.findLast(({ kind }) => kind === 'sealed');
  return last?.kind === 'sealed' ? last.manifest.set : undefined;
}

/** What belongs to the domain's state and is on no disk. */
async function foreseeBesides({ context, host, live, definitions }: BackupSituation) {
  const nvram = await nvramOf(host, live);
  const { state: tpm, warnings } = await foreseeTpm(context, host, live, definitions.domain.uuid);
  const paths = { ...(nvram !== undefined && { nvram }), ...(tpm !== undefined && { tpm }) };
  return { paths, warnings };
}

async function nvramOf(host: Host, live: DomainXml): Promise<string | undefined> {
  const path = live.osNvram;
  return path !== undefined && (await host.stat(path)) !== null ? path : undefined;
}

function warningsFor({ request, definitions }: BackupSituation, { noCheckpoint }: Foreseen): Warning[] {
  const warnings: Warning[] = [];
  if (request.checkpoint && definitions.running && noCheckpoint !== undefined) {
    warnings.push({ code: 'no-checkpoint', message: `no increment can follow this backup: ${noCheckpoint}` });
  }
  return warnings;
}
