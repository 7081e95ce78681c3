// Can an increment be made, on which point, and how much is it?
import { join } from 'node:path';
import {
  type DiskDefinition,
  type DomainCheckpoint,
  DomainCheckpointXmlFlags,
  DomainXml,
  describeSource,
  isLibvirtError,
} from '@blockferry/libvirt';
import { quoteArgument, toRelativeReference } from '@blockferry/qemu';
import { messageOf, Refusal } from '../model/errors.ts';
import type { Bytes } from '../model/units.ts';
import { checkpointsOf } from '../observe/checkpoints.ts';
import { checkQuiesce } from '../preflight/copy-checks.ts';
import { mustBeLuks } from '../preflight/encryption.ts';
import { whyLeftOut } from '../preflight/group.ts';
import { findDisk } from '../preflight/situation.ts';
import { readDiskChain } from '../storage/disk-chain.ts';
import { mustOpen } from '../storage/must-open.ts';
import { mustTellSecret } from '../storage/passphrase.ts';
import { wholeBitmaps } from './checkpoints.ts';
import { bitmapsSince, markedIn } from './copy-while-off.ts';
import { DEFINITION, pointPath } from './layout.ts';
import { refOf, secretPart } from './locked.ts';
import type { BackupDisk, Manifest, StoredImage } from './model.ts';
import { choosePoint, type Point, type PointChain } from './points.ts';
import type { BackupSituation, Foreseen } from './preflight-backup.ts';

/** @throws Refusal */
export async function foreseeIncrement(situation: BackupSituation): Promise<Foreseen> {
  const { points, request, definitions } = situation;
  const [parent] = newestOf(points, request.directory);
  mustBeTheSameDisks(situation, parent);
  await mustLackNoNewDisk(situation, parent);
  if (parent.checkpoint === undefined) {
    throw no(
      'no-checkpoint',
      `${parent.point} was made without a checkpoint, so nobody knows what changed since`,
    );
  }
  const disks = await Promise.all(parent.disks.map((disk) => incrementOf(situation, parent, disk)));
  const warnings = await checkQuiesce(situation, request);
  if (!definitions.running) {
    await mustBeMarked(situation, parent.checkpoint, disks);
    return { disks, bytes: 0n, warnings, parent: { point: parent.point, checkpoint: parent.checkpoint } };
  }
  const checkpoint = await checkpointNamed(situation, parent.checkpoint);
  await mustBeRecorded(situation, parent.checkpoint, disks);
  const bytes = await changedSince(situation, checkpoint);
  return { disks, bytes, warnings, parent: { point: parent.point, checkpoint: parent.checkpoint } };
}

/** @throws Refusal `no-such-point`, `point-broken` */
function newestOf(points: readonly Point[], directory: string): PointChain {
  try {
    return choosePoint(points, directory, undefined);
  } catch (error) {
    throw error instanceof Refusal ? no(error.code, error.message) : error;
  }
}

function no(code: string, why: string): Refusal {
  return new Refusal(code, why, {}, 'make a full backup: leave --incremental out');
}

/** A disk that the point before lacks would be a full one; one that is left out would be missing from then on. */
function mustBeTheSameDisks({ live, request }: BackupSituation, { disks, point }: Manifest): void {
  const before = disks.map(({ target }) => target);
  const asked =
    request.disks.length === 0 ? before : request.disks.map((name) => findDisk(live, name).target);
  const gone = before.find((target) => live.disk(target)?.source === undefined);
  if (gone !== undefined) throw no('disks-differ', `${point} holds ${gone}, which ${live.name} has no more`);
  if (asked.length === before.length && before.every((target) => asked.includes(target))) return;
  throw no('disks-differ', `an increment of ${point} is of the same disks: ${before.join(', ')}`);
}

/**
 * A disk that was added since would be in no backup, night after night. One that a full backup left out was known then; who
 * names the disks has said what is meant.
 *
 * @throws Refusal `disks-differ`
 */
async function mustLackNoNewDisk({ host, live, request }: BackupSituation, parent: Manifest): Promise<void> {
  const text = await host.readFile(join(pointPath(request.directory, parent.point), DEFINITION));
  if (request.disks.length > 0 || text === null) return;
  const before = DomainXml.parse(text);
  const isNew = (disk: DiskDefinition) =>
    whyLeftOut(disk) === undefined && before.disk(disk.target)?.source === undefined;
  const added = live.disks().filter(isNew);
  if (added.length === 0) return;
  const targets = parent.disks.map(({ target }) => target);
  const same = ['backup', live.name, request.directory, ...targets, '--incremental'].map(quoteArgument);
  throw new Refusal(
    'disks-differ',
    `${live.name} has ${added.map(({ target }) => target).join(', ')} now, which ${parent.point} does not hold: no increment would`,
    { disks: added.map(({ target }) => target) },
    `make a full backup: leave --incremental out; or leave it out of the backup: blockferry ${same.join(' ')}`,
  );
}

async function incrementOf(
  situation: BackupSituation,
  parent: Manifest,
  { target, images: [below] }: Manifest['disks'][number],
): Promise<BackupDisk> {
  const { definitions, live } = situation;
  const disk = findDisk(live, target);
  const format = disk.driver.format ?? 'raw';
  if (disk.source === undefined) throw new Error('checked before');
  if (format !== 'qcow2') {
    throw no('no-checkpoint', `${target} is ${format} now, which keeps no record of what changed`);
  }
  return {
    target,
    capacity: (await definitions.domain.blockInfo(target)).capacity,
    source: describeSource(disk.source),
    format,
    images: [
      {
        path: `${target}.qcow2`,
        format: 'qcow2',
        ...(await secretFor(situation, parent.point, disk, below)),
      },
    ],
    backing: { reference: toRelativeReference(`../${parent.point}/${below.path}`), format: below.format },
  };
}

/**
 * The increment of a disk in LUKS is made in LUKS, by the secret of its topmost image that has one; by that, and by its
 * passphrase of now, the point before has to open as well, or nobody could restore the two.
 *
 * @throws Refusal `encrypted`
 */
async function secretFor(
  { context, host, request }: BackupSituation,
  point: string,
  { target, chain }: DiskDefinition,
  below: StoredImage,
): Promise<Pick<StoredImage, 'secret'>> {
  const locked = chain.find(({ source }) => source.encryption !== undefined)?.source;
  if (locked === undefined) return {};
  mustBeLuks(locked, `${target}: ${describeSource(locked)}`);
  const { secret } = secretPart(locked.encryption);
  if (secret === undefined) {
    throw new Refusal(
      'encrypted',
      `${target} is encrypted, and its definition does not name the secret by its UUID`,
    );
  }
  const secrets = await context.link.connection();
  await mustTellSecret(secrets, secret, { target, whose: 'libvirt' });
  const words = { whose: 'libvirt', right: 'the passphrase of then, or make a full backup' };
  await mustOpen(host, secrets, refOf(pointPath(request.directory, point), below), words);
  return { secret };
}

async function checkpointNamed(
  { definitions, live }: BackupSituation,
  name: string,
): Promise<DomainCheckpoint> {
  const found = (await checkpointsOf(definitions.domain)).find((each) => each.name === name);
  if (found !== undefined) return found;
  throw no('checkpoint-gone', `${live.name} has the checkpoint ${name} of the last backup no more`);
}

/** Bytes that were written since the checkpoint, as libvirt reckons them from its bitmaps. */
async function changedSince({ live }: BackupSituation, checkpoint: DomainCheckpoint): Promise<Bytes> {
  const { SIZE, NO_DOMAIN } = DomainCheckpointXmlFlags;
  try {
    const xml = await checkpoint.getXmlDesc(SIZE | NO_DOMAIN);
    return [...xml.matchAll(/ size='(\d+)'/g)].reduce((sum, [, size = '0']) => sum + BigInt(size), 0n);
  } catch (error) {
    if (!isLibvirtError(error)) throw error;
    throw broken(`what changed since the last backup of ${live.name} is not known (${messageOf(error)})`);
  }
}

function broken(why: string): Refusal {
  return no('checkpoint-broken', `${why}; that is so when QEMU was killed`);
}

/**
 * libvirt orders no increment whose bitmaps are missing or were not closed, as when QEMU was killed; but it says so only
 * when all is made ready.
 *
 * @throws Refusal `checkpoint-broken`
 */
async function mustBeRecorded(
  { definitions, live }: BackupSituation,
  since: string,
  disks: readonly BackupDisk[],
): Promise<void> {
  const { domain } = definitions;
  for (const { target, source } of disks) {
    const whole = await wholeBitmaps(domain, source);
    // Its storage has no such name: libvirt will tell.
    if (whole === undefined) continue;
    for (const name of await bitmapsSince(definitions, since, target)) {
      if (whole.includes(name)) continue;
      throw broken(`what changed on ${target} of ${live.name} since the last backup is not known`);
    }
  }
}

/** Of a domain that is off nobody reckons how much changed; that it is known is seen in the images. @throws Refusal */
async function mustBeMarked(
  { host, definitions, live }: BackupSituation,
  since: string,
  disks: readonly BackupDisk[],
): Promise<void> {
  for (const { target } of disks) {
    const names = await bitmapsSince(definitions, since, target);
    if (names.length === 0) {
      throw no('checkpoint-gone', `${live.name} has the checkpoint ${since} of the last backup no more`);
    }
    markedIn(await readDiskChain(host, findDisk(live, target)), names);
  }
}
