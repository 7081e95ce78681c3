// The verifier's side: what was copied is read back from the storage and compared with the source.
import type { Task } from './backlog.ts';
import type { Work } from './copy-windows.ts';
import type { JobWatch } from './daemon/block-job.ts';
import type { VerifyResult } from './daemon/outcome.ts';
import { LayerDiffers } from './errors.ts';
import { windowAt } from './windows.ts';

/** It has no progress of its own: whole windows are counted. */
const QUIET: JobWatch = { progress: () => {}, waitsForSpace: () => {} };

/**
 * Verifies until nothing is left for anybody to do. A window that differs is copied again, once.
 *
 * @throws LayerDiffers, LayerFailed, SourceChanged; QmpConnectionError when its daemon ends
 */
export async function verifyWindows(work: Work): Promise<void> {
  const daemon = await work.start();
  let noted: Promise<void> = Promise.resolve();
  for (;;) {
    const failed = noted.then(() => new Promise<never>(() => {}));
    const task = await Promise.race([work.backlog.nextToVerify(), failed]);
    if (!task) break;
    const { layer, index } = task;
    const [result] = await Promise.all([
      daemon.verify(layer, windowAt(layer.journal.cut, index), QUIET),
      noted,
    ]);
    noted = note(work, task, result);
    noted.catch(() => {}); // awaited with the next window, or below
  }
  await noted;
}

async function note({ backlog, settle }: Work, task: Task, result: VerifyResult): Promise<void> {
  const { layer, index } = task;
  if (result.kind === 'same') {
    await layer.markVerified(index);
    await settle(layer);
    backlog.verified();
    return;
  }
  // A source that somebody writes to differs from any copy.
  await layer.checkSource();
  await layer.markDiffering(index);
  if (task.again) throw new LayerDiffers(layer.plan, result.offset);
  backlog.differs(task);
}
