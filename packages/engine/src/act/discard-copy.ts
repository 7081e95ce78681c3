// Removes the destination that we made: an unfinished or unwanted copy.
import { ErrorCode, isLibvirtError } from '@blockferry/libvirt';
import { StepFailed } from '../model/errors.ts';
import { readUsage, usesOf } from '../observe/usage.ts';
import type { Scene } from './act.ts';
import { removeRbdImage } from './claim-rbd-image.ts';
import { updateJournal } from './update-journal.ts';

/** @throws StepFailed when any definition refers to it: then it is not removed. */
export async function discardCopy(scene: Scene): Promise<void> {
  const { context, move, memory, observation } = scene;
  const connection = await context.link.connection();
  const { source } = move.destination;
  const use = usesOf(await readUsage(connection, context.host, [source]), source)[0];
  if (use !== undefined) {
    throw new StepFailed(
      'discard-copy',
      `the copy is not removed: the ${use.definition} definition of ${use.domain} uses it for ${use.disk}`,
    );
  }
  if (move.ownership.kind === 'volume') {
    await deleteVolume(scene, move.ownership.pool, move.ownership.volume);
    return;
  }
  if (move.ownership.kind === 'rbd-image' && context.host !== undefined) {
    await removeRbdImage(scene, context.host);
    return;
  }
  if (source.kind !== 'file' || context.host === undefined) return;
  await context.host.unlink(source.path);
  delete memory.claimed;
  if (observation.journal) {
    const { claimed: _, ...rest } = observation.journal;
    await updateJournal(scene, rest);
  }
}

async function deleteVolume(scene: Scene, poolName: string, volume: string): Promise<void> {
  const connection = await scene.context.link.connection();
  try {
    const pool = await connection.lookupStoragePoolByName(poolName);
    await (await pool.lookupVolumeByName(volume)).delete();
  } catch (error) {
    if (!isLibvirtError(error, ErrorCode.NO_STORAGE_VOL)) throw error;
  }
}
