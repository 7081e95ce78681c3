// The copier's side: one window after the other, without a gap between them.
import type { Host } from '@blockferry/qemu';
import type { Backlog, Task } from './backlog.ts';
import type { WindowCopy, WindowDaemon } from './daemon/window-daemon.ts';
import type { Layer } from './layer.ts';
import type { Progress } from './progress.ts';
import { windowAt } from './windows.ts';

/** What copier and verifier share. */
export interface Work {
  readonly host: Host;
  readonly signal: AbortSignal;
  readonly backlog: Backlog;
  readonly progress: Progress;
  /** Bytes a second; 0n for unlimited. */
  speed(): bigint;
  /** Starts a daemon, which ends with the run. */
  start(): Promise<WindowDaemon>;
  /** Finishes a layer if all of it is done. */
  settle(layer: Layer): Promise<void>;
}

interface Opened {
  readonly task: Task;
  readonly window: WindowCopy;
}

/**
 * Copies until nothing is left for anybody to do. While a window is written, the next one is opened and the one before
 * is flushed and journaled; so a crash costs two windows at most.
 *
 * @throws LayerFailed, LayerInUse, SourceChanged; QmpConnectionError when its daemon ends
 */
export async function copyWindows(work: Work): Promise<void> {
  const daemon = await work.start();
  let settled: Promise<void> = Promise.resolve();
  let next = openNext(work, daemon, settled);
  for (;;) {
    const opened = await next;
    if (!opened) break;
    const { task, window } = opened;
    const writing = window.write(work.progress.watchCopy(task));
    const before = settled;
    settled = writing.then(async () => {
      work.progress.windowWritten(task);
      await before;
      await settleWindow(work, opened);
    });
    settled.catch(() => {}); // awaited below, or by the next window
    next = openNext(work, daemon, settled);
    next.catch(() => {});
    await Promise.all([writing, before]);
  }
  await settled;
}

/** Waits for `settled` where two windows cannot be open at once. Fails if that fails: there is nothing more to do. */
async function openNext(
  { backlog }: Work,
  daemon: WindowDaemon,
  settled: Promise<void>,
): Promise<Opened | undefined> {
  const failed = settled.then(() => new Promise<never>(() => {}));
  const task = await Promise.race([backlog.nextToCopy(), failed]);
  if (!task) return undefined;
  if (!task.layer.mayOverlap) await settled;
  const { layer, index } = task;
  return { task, window: await daemon.openCopy(layer, windowAt(layer.journal.cut, index)) };
}

async function settleWindow({ backlog, settle }: Work, { task, window }: Opened): Promise<void> {
  await window.settle();
  await task.layer.markCopied(task.index);
  if (!backlog.verifies) await settle(task.layer);
  backlog.copied(task);
}
