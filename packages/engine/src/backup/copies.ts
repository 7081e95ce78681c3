// The full pass of a backup: every image of every disk, at one instant, by the engine that copies without moving.
import { dirname, join } from 'node:path';
import { type Host, quoteArgument } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import type { MoveRecord } from '../model/record.ts';
import type { Bytes } from '../model/units.ts';
import { preflightCopies } from '../preflight/copies.ts';
import { changeGoal } from '../run/change-goal.ts';
import type { Context } from '../run/context.ts';
import { copiedDisk } from '../run/copied-disk.ts';
import type { Ended } from '../run/disk-run.ts';
import { findMoves } from '../run/find-moves.ts';
import type { Report } from '../run/report.ts';
import { runGroup } from '../run/run-group.ts';
import type { BackupWorld } from './decide.ts';
import { copiesRequest } from './foresee-full.ts';
import { pointPath } from './layout.ts';
import type { BackupRecord } from './model.ts';
import { type BackupScene, recorded, warn } from './scene.ts';
import { CopySums } from './sums/copy-sums.ts';

/** The copies went back by themselves: nothing of them is left. */
export class CopiesWentBack extends Error {
  override readonly name = 'CopiesWentBack';
}

/** They cannot go on now. Their records stand, and that of the backup. */
export class CopiesInterrupted extends Error {
  override readonly name = 'CopiesInterrupted';
  /** Only a person can say which image is the truth. */
  readonly asks: boolean;
  /** How the one ended that cannot go on. */
  readonly ended: Pick<Ended, 'ending' | 'move'>;

  constructor(message: string, asks: boolean, ended: Pick<Ended, 'ending' | 'move'>) {
    super(message);
    this.asks = asks;
    this.ended = ended;
  }
}

/** Is it one of the copies that this backup is made of? Pure. */
export function isCopyOf(
  record: BackupRecord,
  { copy, domain, destination: { source } }: MoveRecord,
): boolean {
  const point = pointPath(record.directory, record.point);
  return (
    copy !== undefined &&
    domain.uuid === record.domain.uuid &&
    source.kind === 'file' &&
    dirname(source.path) === point
  );
}

/** The open records of the copies. @throws LibvirtError, FileError, HostError */
export async function openCopies(context: Context, record: BackupRecord): Promise<readonly MoveRecord[]> {
  const found = await findMoves(context, record.domain.uuid).catch((error: unknown) => {
    if (error instanceof Refusal) return []; // the domain is gone
    throw error;
  });
  return found.filter((move) => isCopyOf(record, move));
}

/**
 * A file of a copy is made when its record stands, and the record goes when all are complete, or when all are removed: so
 * images without a record or a journal are complete.
 */
export async function copiesOf(
  context: Context,
  host: Host,
  record: BackupRecord,
): Promise<BackupWorld['copies']> {
  if (record.phase !== 'copying' && record.goal !== 'abort') return 'none';
  if ((await openCopies(context, record)).length > 0) return 'open';
  const point = pointPath(record.directory, record.point);
  if ((await host.stat(point)) === null) return 'none';
  const names = await host.readdir(point);
  const images = record.disks.flatMap((disk) => disk.images.map(({ path }) => path));
  const isUnderWay = names.some((name) => /\.blockferry(-copy)?$/.test(name));
  return !isUnderWay && images.every((image) => names.includes(image)) ? 'complete' : 'none';
}

/**
 * Begins the copies, or goes on with them, to their end; the record then says that all images are complete.
 *
 * @throws Refusal where they cannot be begun; CopiesWentBack, CopiesInterrupted; as runGroup
 */
export async function copyFull(scene: BackupScene): Promise<void> {
  const { context, record } = scene;
  const open = await openCopies(context, record);
  const moves = open.length > 0 ? open : await planCopies(scene);
  const ended = await runCopies(scene, moves);
  if (scene.signal.aborted && ended.some(({ ending }) => ending.kind === 'stopped')) return;
  for (const { ending, move } of ended) {
    if (ending.kind === 'back') throw new CopiesWentBack(ending.why);
    if (ending.kind !== 'copied') throw interrupted({ ending, move });
  }
  const disks = await Promise.all(ended.map(({ move }) => copiedDisk(context, move)));
  const quiesced = disks.some((disk) => disk.quiesced) && { quiesced: true as const };
  await recorded(scene, { ...record, ...quiesced, phase: 'sealing' });
}

/** Takes back what is under way. Copies that are complete already stay, for whoever removes the point. */
export async function undoCopies(scene: BackupScene): Promise<void> {
  const { context, record } = scene;
  const open = await openCopies(context, record);
  const changed: MoveRecord[] = [];
  for (const move of open) changed.push(await changeGoal(context, move, { goal: 'abort' }));
  for (const { ending, move } of await runCopies(scene, changed)) {
    if (ending.kind === 'back') await tellOfOverlay(scene, move);
    if (ending.kind !== 'back' && ending.kind !== 'copied' && ending.kind !== 'stopped')
      throw interrupted({ ending, move });
  }
}

/** It is ours by the journal alone: where that is gone with the point's directory, it stays, empty and in no chain. */
async function tellOfOverlay(scene: BackupScene, { layered }: MoveRecord): Promise<void> {
  const source = layered?.overlay.source;
  if (source?.kind !== 'file' || (await scene.host.stat(source.path)) === null) return;
  warn(
    scene,
    'left-behind',
    `${source.path} took the guest's writes, and is not removed: the journal that tells that it is ours is gone. Once nothing uses it: rm ${quoteArgument(source.path)}`,
  );
}

async function planCopies({ context, record, definitions }: BackupScene): Promise<readonly MoveRecord[]> {
  const to = join(pointPath(record.directory, record.point), '/');
  const wanted = record.disks.map(({ target }) => ({ disk: target, destination: to }));
  const request = copiesRequest(record, definitions?.domain.uuid ?? record.domain.uuid, wanted);
  const { disks } = await preflightCopies(context, request);
  return disks.map(({ move }) => move);
}

async function runCopies(scene: BackupScene, moves: readonly MoveRecord[]): Promise<readonly Ended[]> {
  if (moves.length === 0) return [];
  const { host, memory, signal, afterStep } = scene;
  const sums = memory.sums ?? new CopySums(host, signal);
  memory.sums = sums;
  const context = { ...scene.context, follow: sums.follow };
  const report = reporter(scene, moves);
  const options = { signal, report, ...(afterStep && { afterStep }) };
  return (await runGroup(context, moves, options)).disks;
}

/** What is said of each copy, as one: they are copied one after the other. */
function reporter(
  scene: BackupScene,
  moves: readonly MoveRecord[],
): (move: MoveRecord, report: Report) => void {
  const amounts = new Map<string, { readonly copied: Bytes; readonly total: Bytes }>();
  const phases = new Map<string, MoveRecord['phase']>();
  return ({ disk, phase }, report) => {
    if (report.type === 'warning') warn(scene, report.code, report.message);
    if (report.type === 'phase') phases.set(disk, report.phase);
    // What goes back to the guest's images is no part of the backup.
    if (report.type !== 'progress' || (phases.get(disk) ?? phase) !== 'copying') return;
    const { copied, total, rate, etaMs } = report;
    amounts.set(disk, { copied, total });
    const all = moves.map((move) => amounts.get(move.disk) ?? { copied: 0n, total: 0n });
    scene.report({
      type: 'progress',
      stage: 'copying',
      done: all.reduce((sum, one) => sum + one.copied, 0n),
      total: all.reduce((sum, one) => sum + one.total, 0n),
      rate,
      etaMs,
    });
  };
}

function interrupted(ended: Pick<Ended, 'ending' | 'move'>): CopiesInterrupted {
  const { ending } = ended;
  switch (ending.kind) {
    case 'interrupted':
      return new CopiesInterrupted(ending.detail ?? ending.why, false, ended);
    case 'ask':
      return new CopiesInterrupted(`a copy asks which image is the truth (${ending.question})`, true, ended);
    case 'back':
      return new CopiesInterrupted(ending.why, false, ended);
    case 'stopped':
    case 'moved':
    case 'ready':
    case 'kept':
    case 'copied':
      return new CopiesInterrupted(ending.kind, false, ended);
  }
}
