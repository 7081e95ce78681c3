// Starts QEMU's mirror through virDomainBlockCopy.
import { DomainBlockCopyFlags, LibvirtError } from '@blockferry/libvirt';
import { messageOf } from '../model/errors.ts';
import { TOO_BUSY } from '../storage/create-patiently.ts';
import type { Scene } from './act.ts';
import { claimDestination } from './claim-destination.ts';
import { definitionsOf } from './scene-domain.ts';

/**
 * Asks libvirt for the copy. An answer that refuses it counts as a failed copy, with libvirt's words as the reason;
 * a connection that drops tells nothing, so the next look at the domain decides.
 */
export async function startCopy(scene: Scene, synchronousWrites: boolean): Promise<void> {
  const { move, memory } = scene;
  const { domain } = definitionsOf(scene);
  const { bandwidth, granularity, bufSize } = move.options;
  const flags = () =>
    (move.scope === 'shallow' ? DomainBlockCopyFlags.SHALLOW : 0) |
    (move.ownership.kind === 'created' && !memory.freshImage ? 0 : DomainBlockCopyFlags.REUSE_EXT) |
    (move.jobMode === 'transient-job' ? DomainBlockCopyFlags.TRANSIENT_JOB : 0) |
    (synchronousWrites ? DomainBlockCopyFlags.SYNCHRONOUS_WRITES : 0);
  // Before the call: events may come ahead of its reply.
  memory.witnessed = 'nothing';
  memory.starts += 1;
  memory.diverging = false;
  const limits = {
    ...(bandwidth !== undefined && bandwidth > 0n && { bandwidth }),
    ...(granularity !== undefined && { granularity }),
    ...(bufSize !== undefined && { bufSize }),
  };
  const start = () => domain.blockCopy(move.disk, move.destinationXml, limits, flags());
  try {
    await patiently(start, () => claimAgain(scene));
  } catch (error) {
    if (!(error instanceof LibvirtError)) throw error;
    memory.witnessed = 'failed';
    memory.failure = `libvirt refused the copy: ${messageOf(error)}`;
  } finally {
    memory.freshImage = false;
  }
}

/** libvirt removes the file that it was to fill with every refusal, and would make another, which nobody has claimed. */
async function claimAgain(scene: Scene): Promise<void> {
  const { context, move } = scene;
  const { source } = move.destination;
  if (move.ownership.kind !== 'created' || source.kind !== 'file') return;
  if ((await context.host?.stat(source.path)) === null) await claimDestination(scene);
}

const NAME_TAKEN = /Duplicate nodes with node-name/;
const MOST_REFUSALS = 8;

/**
 * Asks again where the refusal passes. A libvirtd that dies while it begins a copy leaves block nodes in QEMU: the next
 * one does not know of them, counts from where the last had saved, and is refused each name that is taken; asked again,
 * it is one further. And a LUKS image that QEMU is too busy to make (TOO_BUSY) may be made the next time.
 */
export async function patiently(start: () => Promise<void>, before = async () => {}): Promise<void> {
  for (let refusals = 0; ; refusals += 1) {
    try {
      return await start();
    } catch (error) {
      const passes =
        error instanceof LibvirtError && (NAME_TAKEN.test(error.message) || TOO_BUSY.test(error.message));
      if (!passes || refusals === MOST_REFUSALS) throw error;
      await before();
    }
  }
}
