// What a full backup copies, and under which names.
import { basename, join } from 'node:path';
import { type DiskDefinition, describeSource } from '@blockferry/libvirt';
import { type CopiesRequest, preflightCopies } from '../preflight/copies.ts';
import type { DisksTo } from '../preflight/group.ts';
import type { Preflight } from '../preflight/preflight.ts';
import type { NameOf } from '../preflight/request.ts';
import { findDisk } from '../preflight/situation.ts';
import { secretPart } from './locked.ts';
import type { BackupDisk, BackupRecord, StoredImage } from './model.ts';
import type { BackupSituation, Foreseen } from './preflight-backup.ts';

/** In the point's directory: `vda.qcow2`, and below it `vda-1.qcow2` and so on. */
const nameInPoint: NameOf = ({ format }, disk, depth) => `${disk}${depth === 0 ? '' : `-${depth}`}.${format}`;

/** What the engine that copies is asked for. */
export function copiesRequest(
  { copying, quiesce }: Pick<BackupRecord, 'copying' | 'quiesce'>,
  domain: string,
  disks: DisksTo,
  prefix = '',
): CopiesRequest {
  const { flatten, compressed, verify, guard, bandwidth, overlayDirectory } = copying;
  return {
    domain,
    disks,
    scope: flatten ? 'flatten' : 'chain',
    ...(compressed && { compressed, format: 'qcow2' }),
    nameOf: (...image) => `${prefix}${nameInPoint(...image)}`,
    verify,
    ...(guard !== undefined && { guard }),
    ...(bandwidth !== undefined && { bandwidth }),
    ...(overlayDirectory !== undefined && { overlayDirectory }),
    quiesce,
  };
}

/**
 * The copies are asked for where the point will be, or in the directory that is there already, under names that nobody has.
 *
 * @throws Refusal, with nothing touched
 */
export async function foreseeFull(situation: BackupSituation): Promise<Foreseen> {
  const { context, live, request, nearest, point } = situation;
  const targets = request.disks.map((name) => findDisk(live, name).target);
  const to = join(nearest, '/');
  const wanted = targets.length === 0 ? { allTo: to } : targets.map((disk) => ({ disk, destination: to }));
  const prefix = `${point}-`;
  const copies = copiesRequest(request, live.name, wanted, prefix);
  const { disks, leftOut } = await preflightCopies(context, copies);
  const stored = disks.map((one) => diskOf(one, prefix));
  const whys = stored.map(({ target }) => whyNoCheckpoint(findDisk(live, target)));
  const noCheckpoint = whys.find((why) => why !== undefined);
  return {
    disks: stored,
    bytes: disks.reduce((sum, { bytes }) => sum + bytes, 0n),
    warnings: [...leftOut, ...disks.flatMap(({ warnings }) => warnings)],
    ...(noCheckpoint !== undefined && { noCheckpoint }),
  };
}

function diskOf({ move, capacity }: Preflight, prefix: string): BackupDisk {
  const [first, ...rest] = (move.layered?.layers ?? []).map(({ to: { source, format } }): StoredImage => {
    if (source.kind !== 'file') throw new Error('copies are files');
    return { path: basename(source.path).slice(prefix.length), format, ...secretPart(source.encryption) };
  });
  if (first === undefined) throw new Error('copies are made by strategy layered');
  const { source, format } = move.origin;
  return { target: move.disk, capacity, source: describeSource(source), format, images: [first, ...rest] };
}

function whyNoCheckpoint({ target, driver: { format = 'raw' } }: DiskDefinition): string | undefined {
  return format === 'qcow2' ? undefined : `${target} is ${format}, which keeps no record of what changed`;
}
