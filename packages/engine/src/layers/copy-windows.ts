// The copier's side: one window after the other, without a gap between them.
import type { Host } from '@blockferry/qemu';
import type { Backlog, Task } from './backlog.ts';
import type { CopyFollower } from './copy-follower.ts';
import type { WindowDaemon } from './daemon/window-daemon.ts';
import type { Layer } from './layer.ts';
import type { Progress } from './progress.ts';
import type { Room } from './room.ts';
import { type Opened, Settler } from './settle-windows.ts';
import type { Slot, WindowMemory } from './window-memory.ts';
import { windowAt } from './windows.ts';

/** What copier and verifier share. */
export interface Work {
  readonly host: Host;
  readonly signal: AbortSignal;
  readonly backlog: Backlog;
  readonly progress: Progress;
  /** Undefined: the destination's storage is not looked at. */
  readonly room: Room | undefined;
  /** Undefined: who needs a window after it is copied reads it from the source again. */
  readonly memory: WindowMemory | undefined;
  readonly follower: CopyFollower | undefined;
  /** Those that he follows. */
  readonly followed: ReadonlySet<Layer>;
  /** Windows that he is not through with. */
  readonly shown: Set<Promise<void>>;
  /** Bytes a second; 0n for unlimited. */
  speed(): bigint;
  readonly writer: WindowDaemon;
  /** Undefined: nothing is kept in memory, nor verified. */
  readonly reader: WindowDaemon | undefined;
  /** Finishes a layer if all of it is done. */
  settle(layer: Layer): Promise<void>;
}

/**
 * Copies until nothing is left for anybody to do. While a window is written, the next one is opened, those that are kept in
 * memory are read ahead, and the ones before are flushed and journaled.
 *
 * @throws LayerFailed, LayerInUse, SourceChanged; QmpConnectionError when its daemon ends
 */
export async function copyWindows(work: Work): Promise<void> {
  const settler = new Settler(work);
  const ahead = new ReadAhead(work, settler);
  let next = openNext(work, settler, ahead, undefined);
  for (;;) {
    const opened = await next;
    if (!opened) break;
    await settler.room();
    const { task, window } = opened;
    await work.room?.there();
    const written = window.write(work.progress.watchCopy(task));
    const writing = (work.room?.during(written, window) ?? written).then(() => {
      work.progress.windowWritten(task);
      if (!work.backlog.verifies) work.memory?.free(task);
      settler.add(opened);
    });
    next = openNext(work, settler, ahead, writing);
    next.catch(() => {}); // awaited above, unless the writing fails first
    await writing;
  }
  await settler.done();
}

/** Where two windows cannot be open at once, it waits until the one before is `written` and settled. */
async function openNext(
  work: Work,
  settler: Settler,
  ahead: ReadAhead,
  written: Promise<void> | undefined,
): Promise<Opened | undefined> {
  const read = await ahead.next();
  if (!read) return undefined;
  const { task, slot } = read;
  const { layer, index } = task;
  if (!layer.mayOverlap) {
    await written;
    await settler.done();
  }
  return { task, window: await work.writer.openCopy(layer, windowAt(layer.journal.cut, index), slot) };
}

/** The next to be copied, and where it is kept, if it is. */
interface Read {
  readonly task: Task;
  readonly slot: Slot | undefined;
}

/**
 * Reads windows into memory, one after the other. One more than the next to be written, where memory has room for it: a window
 * takes longer to be read than another to be written often enough to cost a tenth of the speed otherwise.
 */
class ReadAhead {
  readonly #work: Work;
  readonly #settler: Settler;
  #begun: Promise<Read | undefined> | undefined;

  constructor(work: Work, settler: Settler) {
    this.#work = work;
    this.#settler = settler;
  }

  async next(): Promise<Read | undefined> {
    const begun = this.#begun ?? this.#read();
    this.#begun = undefined;
    const read = await begun;
    if (read?.slot && this.#work.memory?.hasFree) {
      this.#begun = this.#read();
      this.#begun.catch(() => {}); // awaited by the next call, unless something else fails first
    }
    return read;
  }

  async #read(): Promise<Read | undefined> {
    const task = await Promise.race([this.#work.backlog.nextToCopy(), this.#settler.failed]);
    if (!task) return undefined;
    const slot = await keep(this.#work, task);
    show(this.#work, task, slot);
    return { task, slot };
  }
}

/** Shows the window to who follows the copy; it stays in memory for as long as he wants. */
function show({ follower, followed, shown, memory }: Work, task: Task, slot: Slot | undefined): void {
  const { layer, index, again } = task;
  if (follower === undefined || again || !followed.has(layer)) return;
  const { offset, length } = windowAt(layer.journal.cut, index);
  memory?.hold(task);
  const kept = slot && { path: slot.path, offset: slot.window.offset };
  const read = follower.read(layer.plan, { offset, length, kept }).finally(() => {
    memory?.free(task);
    shown.delete(read);
  });
  shown.add(read);
}

/** Where the window is kept until nobody needs it; undefined where nobody will, or there is no room for it. */
async function keep(
  { memory, reader, backlog, followed, progress }: Work,
  task: Task,
): Promise<Slot | undefined> {
  if (!reader || (!backlog.verifies && !followed.has(task.layer))) return undefined;
  const slot = memory?.keep(task);
  if (!slot) return undefined;
  const window = windowAt(task.layer.journal.cut, task.index);
  if (await reader.keep(task.layer, window, slot, progress.watchRead())) return slot;
  memory?.free(task);
  memory?.giveUp();
  return undefined;
}
