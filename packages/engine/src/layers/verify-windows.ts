// The verifier's side: what was copied is read back from the storage and compared with the source, as it was read once.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Task } from './backlog.ts';
import { compareWindow, type VerifyResult } from './compare-window.ts';
import type { Work } from './copy-windows.ts';
import { QuorumMissing, type WindowDaemon } from './daemon/window-daemon.ts';
import { LayerDiffers } from './errors.ts';
import { ACCESSES } from './window-trees.ts';
import { type Window, windowAt } from './windows.ts';

/**
 * Verifies until nothing is left for anybody to do. A window that differs is copied again, once.
 *
 * @throws LayerDiffers, LayerFailed, SourceChanged; QmpConnectionError when the reader ends
 */
export async function verifyWindows(work: Work, reader: WindowDaemon): Promise<void> {
  const verify = verifier(work, reader);
  let noted: Promise<void> = Promise.resolve();
  for (;;) {
    const failed = noted.then(() => new Promise<never>(() => {}));
    const task = await Promise.race([work.backlog.nextToVerify(), failed]);
    if (!task) break;
    const window = windowAt(task.layer.journal.cut, task.index);
    const [result] = await Promise.all([verify(task, window), noted]);
    work.progress.windowCompared(task);
    work.memory?.free(task);
    noted = note(work, task, result);
    noted.catch(() => {}); // awaited with the next window, or below
  }
  await noted;
}

type Verify = (task: Task, window: Window) => Promise<VerifyResult>;

/** By the daemon; by qemu-img where that cannot do it, and to know what is wrong where something is. */
function verifier(work: Work, daemon: WindowDaemon): Verify {
  const { progress, memory } = work;
  let hasQuorum = true;
  return async (task, window) => {
    const { layer } = task;
    if (hasQuorum) {
      try {
        if (await daemon.isSame(layer, window, memory?.slotOf(task), progress.watchCompare(task)))
          return { kind: 'same' };
      } catch (error) {
        if (!(error instanceof QuorumMissing)) throw error;
        hasQuorum = false;
      }
    }
    const access = layer.access.get('copy') ?? ACCESSES[0];
    const start = performance.now();
    const result = await compareWindow(work.host, layer.plan, window, access, work.signal);
    await keepSpeed(work, window, performance.now() - start);
    return result;
  };
}

/** qemu-img knows no speed: after each window it rests for as long as the window should have taken. */
async function keepSpeed({ speed, signal }: Work, { length }: Window, takenMs: number): Promise<void> {
  const bytesPerSecond = speed();
  if (bytesPerSecond === 0n) return;
  const restMs = (Number(length) / Number(bytesPerSecond)) * 1000 - takenMs;
  if (restMs > 0) await sleep(restMs, undefined, { signal });
}

async function note(
  { backlog, settle, signal, progress }: Work,
  task: Task,
  result: VerifyResult,
): Promise<void> {
  const { layer, index } = task;
  if (result.kind === 'same') {
    await layer.markVerified(index);
    progress.windowNoted(task);
    await settle(layer);
    backlog.verified();
    return;
  }
  // A source that somebody writes to differs from any copy.
  await layer.checkSource(signal);
  await layer.markDiffering(index);
  progress.windowNoted(task);
  if (task.again) throw new LayerDiffers(layer.plan, result.offset);
  backlog.differs(task);
}
