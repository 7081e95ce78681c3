// Takes the destination's name before QEMU sees it, so that whose file it is never is a question.
import { volumeXml } from '@blockferry/libvirt';
import { FileError } from '@blockferry/qemu';
import { StepFailed } from '../model/errors.ts';
import { writeJournal } from '../record/journal.ts';
import { journalPlace } from '../run/context.ts';
import type { Scene } from './act.ts';

/**
 * Makes an empty file (libvirt accepts one, and fills the same inode) and notes its identity in the journal; or
 * makes the volume through libvirt. A crash between the two leaves an empty file, which is taken the next time.
 */
export async function claimDestination(scene: Scene): Promise<void> {
  const { context, move, observation, memory } = scene;
  if (move.ownership.kind === 'volume') return claimVolume(scene);
  const { host } = context;
  const { source } = move.destination;
  if (host === undefined || source.kind !== 'file') return;
  try {
    await host.createExclusive(source.path, { mode: await modeOfSource(scene) });
  } catch (error) {
    if (!(error instanceof FileError) || error.code !== 'EEXIST') throw error;
    throw new StepFailed('claim-destination', `${source.path} appeared meanwhile and is not ours`, {
      cause: error,
    });
  }
  const stat = await host.stat(source.path);
  if (stat === null)
    throw new StepFailed('claim-destination', `${source.path} vanished as soon as it was made`);
  memory.claimed = { device: stat.device, inode: stat.inode };
  await writeJournal(journalPlace(context, move), {
    ...observation.journal,
    record: move,
    claimed: memory.claimed,
  });
}

/** The copy gets the source's mode; its owner is libvirt's to set while a domain uses it. */
async function modeOfSource({ context, move }: Scene): Promise<number> {
  const { source } = move.origin;
  const stat = source.kind === 'file' ? await context.host?.stat(source.path) : undefined;
  return (stat?.mode ?? 0o600) & 0o777;
}

async function claimVolume(scene: Scene): Promise<void> {
  const { context, move, memory } = scene;
  if (move.ownership.kind !== 'volume') return;
  const connection = await context.link.connection();
  const pool = await connection.lookupStoragePoolByName(move.ownership.pool);
  const { volume, capacity, backing } = move.ownership;
  const { source, format } = move.destination;
  const sparse = source.kind === 'file';
  await pool.createVolumeXml(volumeXml({ name: volume, capacity, format, backing, sparse }));
  memory.freshVolume = true;
}
