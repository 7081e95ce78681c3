// Starts QEMU's mirror through virDomainBlockCopy.
import { DomainBlockCopyFlags, LibvirtError } from '@blockferry/libvirt';
import { messageOf } from '../model/errors.ts';
import type { Scene } from './act.ts';
import { TOO_BUSY } from './format-encrypted.ts';
import { definitionsOf } from './scene-domain.ts';

/**
 * Asks libvirt for the copy. An answer that refuses it counts as a failed copy, with libvirt's words as the reason;
 * a connection that drops tells nothing, so the next look at the domain decides.
 */
export async function startCopy(scene: Scene, synchronousWrites: boolean): Promise<void> {
  const { move, memory } = scene;
  const { domain } = definitionsOf(scene);
  const { bandwidth, granularity, bufSize } = move.options;
  const flags =
    (move.scope === 'shallow' ? DomainBlockCopyFlags.SHALLOW : 0) |
    (move.ownership.kind === 'created' && !memory.freshImage ? 0 : DomainBlockCopyFlags.REUSE_EXT) |
    (move.jobMode === 'transient-job' ? DomainBlockCopyFlags.TRANSIENT_JOB : 0) |
    (synchronousWrites ? DomainBlockCopyFlags.SYNCHRONOUS_WRITES : 0);
  // Before the call: events may come ahead of its reply.
  memory.witnessed = 'nothing';
  memory.starts += 1;
  memory.diverging = false;
  memory.freshImage = false;
  const limits = {
    ...(bandwidth !== undefined && bandwidth > 0n && { bandwidth }),
    ...(granularity !== undefined && { granularity }),
    ...(bufSize !== undefined && { bufSize }),
  };
  try {
    await pastLeftovers(() => domain.blockCopy(move.disk, move.destinationXml, limits, flags));
  } catch (error) {
    if (!(error instanceof LibvirtError)) throw error;
    // libvirt has removed the file that it could not format: it is claimed anew, and asked for again (MAX_STARTS).
    if (TOO_BUSY.test(error.message)) return;
    memory.witnessed = 'failed';
    memory.failure = `libvirt refused the copy: ${messageOf(error)}`;
  }
}

const NAME_TAKEN = /Duplicate nodes with node-name/;
const MOST_LEFTOVERS = 8;

/**
 * A libvirtd that dies while it begins a copy leaves block nodes in QEMU. The next one does not know of them, counts
 * from where the last had saved, and is refused each name that is taken; asked again, it is one further.
 */
export async function pastLeftovers(start: () => Promise<void>): Promise<void> {
  for (let taken = 0; ; taken += 1) {
    try {
      return await start();
    } catch (error) {
      const again = error instanceof LibvirtError && NAME_TAKEN.test(error.message);
      if (!again || taken === MOST_LEFTOVERS) throw error;
    }
  }
}
