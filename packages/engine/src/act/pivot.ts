// Orders the switch to the destination.
import { DomainBlockJobAbortFlags, ErrorCode, isLibvirtError } from '@blockferry/libvirt';
import type { Seen } from '../observe/seen.ts';
import type { Scene } from './act.ts';
import { definitionsOf } from './scene-domain.ts';

/** A guest that hammers its disk may keep the mirror busy for a while after the order. */
const PIVOT_WITHIN_MS = 60_000;

/**
 * virDomainBlockJobAbort with PIVOT. Its return proves nothing: the live definition does, at the next look. Refusals
 * that a second look resolves (not ready again, job just ended) are no error.
 */
export async function pivot(scene: Scene<Seen>): Promise<void> {
  const { domain } = definitionsOf(scene);
  try {
    await domain.blockJobAbort(scene.move.disk, DomainBlockJobAbortFlags.PIVOT, {
      timeoutMs: PIVOT_WITHIN_MS,
    });
  } catch (error) {
    const lookAgain =
      isLibvirtError(error, ErrorCode.BLOCK_COPY_ACTIVE) || isLibvirtError(error, ErrorCode.INVALID_ARG);
    if (!lookAgain) throw error;
  }
}
