// Takes the destination's name before QEMU sees it, so that whose file it is never is a question.
import { type DiskSource, LibvirtError, volumeXml } from '@blockferry/libvirt';
import { FileError, type Host } from '@blockferry/qemu';
import { messageOf, StepFailed } from '../model/errors.ts';
import type { Ownership } from '../model/record.ts';
import { writeJournal } from '../record/journal.ts';
import { journalPlace } from '../run/context.ts';
import type { Scene } from './act.ts';
import { claimRbdImage } from './claim-rbd-image.ts';
import { formatEncrypted } from './format-encrypted.ts';
import { record } from './record.ts';

/**
 * Makes an empty file (libvirt accepts one, and fills the same inode) and notes its identity in the journal; or
 * makes the volume through libvirt, the RBD image through librbd. A crash between the two leaves an empty file, which
 * is taken the next time.
 */
export async function claimDestination(scene: Scene): Promise<void> {
  const { context, move, observation, memory } = scene;
  if (move.ownership.kind === 'volume') return claimVolume(scene, move.ownership);
  if (move.ownership.kind === 'rbd-image') return claimRbdImage(scene, move.ownership);
  const { host } = context;
  const { source } = move.destination;
  if (host === undefined || source.kind !== 'file') return;
  const like = await likeFile(host, scene.move.origin.source);
  try {
    await host.createExclusive(source.path, { mode: like.mode });
  } catch (error) {
    if (!(error instanceof FileError) || error.code !== 'EEXIST') throw error;
    throw new StepFailed('claim-destination', `${source.path} appeared meanwhile and is not ours`, {
      cause: error,
    });
  }
  if (like.owner !== undefined) await giveTo(host, source.path, like.owner);
  const stat = await host.stat(source.path);
  if (stat === null)
    throw new StepFailed('claim-destination', `${source.path} vanished as soon as it was made`);
  memory.claimed = { device: stat.device, inode: stat.inode };
  await writeJournal(journalPlace(context, move), {
    ...observation.journal,
    record: move,
    claimed: memory.claimed,
  });
  memory.freshImage = await formatEncrypted(scene, host);
}

export interface FileLook {
  readonly mode: number;
  /** Undefined: whoever makes it owns it. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined;
}

/** The copy gets the source's mode, and the owner that the source has while no domain uses it. */
export async function likeFile(host: Host, source: DiskSource): Promise<FileLook> {
  if (source.kind !== 'file') return { mode: 0o600, owner: undefined };
  const [stat, remembered, user] = await Promise.all([
    host.stat(source.path),
    rememberedOwner(host, source.path),
    host.run(['id', '-u']),
  ]);
  if (stat === null) return { mode: 0o600, owner: undefined };
  // Only root can give files away, and whoever is not root makes the copy as who they are.
  return { mode: stat.mode & 0o777, owner: user.stdout.trim() === '0' ? (remembered ?? stat) : undefined };
}

/** Storage that knows no owners, or gives root no say (NFS), leaves it to libvirt. */
export async function giveTo(host: Host, path: string, owner: NonNullable<FileLook['owner']>): Promise<void> {
  try {
    await host.chown(path, owner.uid, owner.gid);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
  }
}

/**
 * While a domain uses a file libvirt owns it, and remembers the owner before in an attribute (remember_owner in
 * qemu.conf). Where there is none, libvirt leaves owners alone (dynamic_ownership), or the file system has no
 * attributes: then the owner of now is the best answer, for QEMU can open that file.
 */
async function rememberedOwner(host: Host, path: string): Promise<FileLook['owner']> {
  const attribute = ['--only-values', '-n', 'trusted.libvirt.security.dac'];
  const { stdout } = await host
    .run(['getfattr', '--absolute-names', ...attribute, '--', path])
    .catch(() => ({ stdout: '' })); // a host without that tool
  const [, uid, gid] = /^\+(\d+):\+(\d+)/.exec(stdout) ?? [];
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}

/** The claim stands in the record before the volume is made, and is taken back if somebody else made it first. */
async function claimVolume(scene: Scene, ownership: Ownership & { kind: 'volume' }): Promise<void> {
  const { context, move, memory } = scene;
  const { pool: poolName, volume, capacity, backing } = ownership;
  const connection = await context.link.connection();
  const pool = await connection.lookupStoragePoolByName(poolName);
  const { source, format } = move.destination;
  const sparse = source.kind === 'file';
  await record(scene);
  try {
    await pool.createVolumeXml(volumeXml({ name: volume, capacity, format, backing, sparse }));
  } catch (error) {
    if (!(error instanceof LibvirtError)) throw error;
    const { claimed: _, ...unclaimed } = ownership;
    await record({ ...scene, move: { ...move, ownership: unclaimed } });
    const why = `the volume ${volume} cannot be made in the pool ${poolName}: ${messageOf(error)}`;
    throw new StepFailed('claim-destination', why, { cause: error });
  }
  memory.freshImage = true;
}
