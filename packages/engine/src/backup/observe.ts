// A look at a backup under way: its domain, libvirt's job, the checkpoint, the point's directory.
import { type Domain, DomainJobStatsFlags, ErrorCode, isLibvirtError } from '@blockferry/libvirt';
import type { Host } from '@blockferry/qemu';
import type { Millis } from '../model/units.ts';
import { type Definitions, readDefinitions } from '../observe/definitions.ts';
import type { Context } from '../run/context.ts';
import { watchArrival } from './arrival.ts';
import { copiesOf } from './copies.ts';
import type { BackupWorld } from './decide.ts';
import { pointPath } from './layout.ts';
import type { BackupMemory } from './memory.ts';
import type { BackupRecord } from './model.ts';
import { pointBeingMade, readPoints } from './points.ts';
import { newer, openBackupOf, readBackupJournal } from './record.ts';
import type { BackupScene } from './scene.ts';

/** virDomainJobOperation */
const BACKUP_OPERATION = 9;
/** The event of a job's end may come after the look that misses it. */
const EVENT_WITHIN_MS: Millis = 2_000;

export interface BackupSight {
  readonly world: BackupWorld;
  /** As it was written last, by whomever. */
  readonly record: BackupRecord;
  readonly definitions: Definitions | undefined;
  /** What libvirt tells of the job that runs. */
  readonly progress: { readonly done: bigint; readonly total: bigint } | undefined;
}

/**
 * @returns 'ended' when no record of it stands any more: another blockferry has ended it
 * @throws LibvirtError, FileError, HostError, RecordUnreadable
 */
export async function observeBackup(
  context: Context,
  host: Host,
  known: BackupRecord,
  memory: BackupMemory,
  signal: AbortSignal,
): Promise<BackupSight | 'ended'> {
  const connection = await context.link.connection();
  const definitions = await readDefinitions(connection, known.domain.uuid);
  const journal = await readBackupJournal(host, known.directory);
  if (journal?.id !== known.id) return 'ended';
  const inDomain = definitions && openBackupOf(definitions);
  const record = newer(newer(known, journal), inDomain?.id === known.id ? inDomain : undefined) ?? known;
  const job = await jobOf(definitions, { host, record, memory, signal });
  const points = await readPoints(host, record.directory);
  const point = pointBeingMade(points, record.point);
  const world: BackupWorld = {
    domain: definitions === undefined ? 'gone' : definitions.running ? 'running' : 'off',
    job: job.kind,
    witnessed: memory.witnessed,
    arrived: memory.arrived,
    checkpoint: definitions !== undefined && (await hasCheckpoint(definitions.domain, record.checkpoint)),
    point: point !== undefined,
    sealed: point?.kind === 'sealed' && point.manifest.id === record.id,
    prepared: memory.prepared,
    tidied: memory.tidied,
    copies: record.kind === 'full' ? await copiesOf(context, host, record) : 'none',
    retries: memory.retries,
  };
  return { world, record, definitions, progress: job.progress };
}

interface SeenJob {
  readonly kind: BackupWorld['job'];
  readonly progress: BackupSight['progress'];
}

type Looker = Pick<BackupScene, 'host' | 'record' | 'memory' | 'signal'>;

const NO_JOB: SeenJob = { kind: 'none', progress: undefined };

async function jobOf(definitions: Definitions | undefined, looker: Looker): Promise<SeenJob> {
  const { record, memory } = looker;
  if (record.kind === 'full' || definitions === undefined) return NO_JOB;
  const { domain, running } = definitions;
  const xml = running ? await backupUnderWay(domain) : undefined;
  if (xml !== undefined) {
    if (!writesInto(xml, record)) return { ...NO_JOB, kind: 'foreign' };
    if (!(await isWatched(domain, looker))) return NO_JOB;
    memory.jobSeen = performance.now();
    delete memory.vanishedSince;
    const { stats } = await domain.jobStats();
    const [done, total] = [stats.disk_processed, stats.disk_total];
    const known = typeof done === 'bigint' && typeof total === 'bigint';
    return { kind: 'ours', progress: known ? { done, total } : undefined };
  }
  if (memory.jobSeen === undefined || memory.witnessed !== 'nothing') return NO_JOB;
  memory.witnessed = running ? await howItEnded(domain, memory.jobSeen) : 'nothing';
  memory.vanishedSince ??= performance.now();
  const mayBeTold = running && performance.now() - memory.vanishedSince < EVENT_WITHIN_MS;
  return memory.witnessed === 'nothing' && mayBeTold ? { ...NO_JOB, kind: 'ours' } : NO_JOB;
}

/**
 * That of a job that is joined begins here: it missed nothing if the job runs on afterwards, for until its end nobody else is
 * told what could not be written.
 */
async function isWatched(domain: Domain, looker: Looker): Promise<boolean> {
  const { record, memory } = looker;
  if (record.goal === 'abort' || memory.arrival?.isLost === false) return true;
  await watchArrival(looker);
  if ((await backupUnderWay(domain)) !== undefined) return true;
  memory.witnessed = 'nothing';
  delete memory.jobSeen;
  return false;
}

/** The XML of the domain's backup job; undefined when there is none. */
export async function backupUnderWay(domain: Domain): Promise<string | undefined> {
  try {
    return await domain.backupGetXmlDesc();
  } catch (error) {
    // No backup job; gone or off; or a daemon that does not know them.
    const none = [
      ErrorCode.NO_DOMAIN_BACKUP,
      ErrorCode.NO_DOMAIN,
      ErrorCode.OPERATION_INVALID,
      ErrorCode.NO_SUPPORT,
      ErrorCode.RPC,
    ];
    if (none.some((code) => isLibvirtError(error, code))) return undefined;
    throw error;
  }
}

function writesInto(xml: string, { directory, point }: BackupRecord): boolean {
  // As virBufferEscapeString does.
  const path = `${pointPath(directory, point)}/`
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll("'", '&apos;')
    .replaceAll('"', '&quot;');
  return xml.includes(`'${path}`);
}

/**
 * libvirt tells how the last job of the domain ended, not whose it was. There is one at a time: one that began before ours
 * was last seen, and is over, is ours.
 */
async function howItEnded(domain: Domain, jobSeen: Millis): Promise<BackupWorld['witnessed']> {
  const { COMPLETED, KEEP_COMPLETED } = DomainJobStatsFlags;
  const asked = performance.now();
  const { stats } = await domain.jobStats(COMPLETED | KEEP_COMPLETED);
  const { operation, time_elapsed: elapsed, success, errmsg } = stats;
  if (operation !== BACKUP_OPERATION || typeof elapsed !== 'bigint') return 'nothing';
  if (asked - Number(elapsed) > jobSeen) return 'nothing';
  return success === true ? 'completed' : { failed: typeof errmsg === 'string' ? errmsg : 'it failed' };
}

async function hasCheckpoint(domain: Domain, name: string | undefined): Promise<boolean> {
  if (name === undefined) return false;
  try {
    await domain.lookupCheckpointByName(name);
    return true;
  } catch (error) {
    const none = [ErrorCode.NO_DOMAIN_CHECKPOINT, ErrorCode.NO_DOMAIN];
    if (none.some((code) => isLibvirtError(error, code))) return false;
    throw error;
  }
}

/** How a job ended, by the parameters of its event. */
export function endingOf(params: Readonly<Record<string, unknown>>): BackupWorld['witnessed'] {
  if (params.success === true) return 'completed';
  return { failed: typeof params.errmsg === 'string' ? params.errmsg : 'libvirt does not say why' };
}
