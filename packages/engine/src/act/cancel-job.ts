// Ends the mirror without a switch: the guest stays on the source.
import { ErrorCode, isLibvirtError } from '@blockferry/libvirt';
import type { Seen } from '../observe/seen.ts';
import type { Scene } from './act.ts';
import { definitionsOf } from './scene-domain.ts';

/** A destination that hangs holds up the end of the job, and libvirt's job lock with it. */
const CANCEL_WITHIN_MS = 60_000;

/**
 * virDomainBlockJobAbort. With the reply it is proven that the job was canceled and did not fail by itself; a job
 * that is gone already proves nothing.
 */
export async function cancelJob(scene: Scene<Seen>): Promise<void> {
  const { domain } = definitionsOf(scene);
  const before = scene.memory.witnessed;
  // Before the call: the event of our own cancel comes ahead of the reply, and is not somebody else's.
  scene.memory.witnessed = 'canceled-by-us';
  try {
    await domain.blockJobAbort(scene.move.disk, 0, { timeoutMs: CANCEL_WITHIN_MS });
  } catch (error) {
    scene.memory.witnessed = before;
    if (!isLibvirtError(error, ErrorCode.INVALID_ARG)) throw error;
  }
}
