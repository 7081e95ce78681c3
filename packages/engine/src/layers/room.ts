// Pauses the copying while the destination's file system is nearly full: before anything fails, there or for others.
import { setTimeout as sleep } from 'node:timers/promises';

/** How often it is looked, while a window is written and while there is no room. */
const LOOK_EVERY_MS = 1_000;
/** Between windows a look of so late will do: it costs some ms, in which nothing is copied. */
const FRESH_MS = 300;

export interface RoomOptions {
  /** Is there room on the destination's storage for more? Where that cannot be told, there is. */
  readonly hasRoom: () => Promise<boolean>;
  readonly signal: AbortSignal;
  /** Is told when the copy begins to wait, and when it goes on. */
  readonly onWait: (waits: boolean) => void;
}

export interface Pausable {
  pause(): Promise<void>;
  resume(): Promise<void>;
}

export class Room {
  readonly #options: RoomOptions;
  #waits = false;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: RoomOptions) {
    this.#options = options;
  }

  /** Returns when there is room, at once if there is. @throws the signal's reason */
  async there(): Promise<void> {
    if (!this.#waits && performance.now() - this.#lookedAtMs < FRESH_MS) return;
    while (!(await this.#look())) await this.#pause();
  }

  /** Passes on what `writing` comes to; while there is no room, what is written is paused. @throws what it throws */
  async during(writing: Promise<void>, job: Pausable): Promise<void> {
    const ended = new AbortController();
    const watching = this.#watch(job, AbortSignal.any([ended.signal, this.#options.signal]));
    try {
      await writing;
    } finally {
      ended.abort();
      await watching;
    }
  }

  /**
   * Never throws: a job that cannot be paused any more has ended. One whose pause was not answered may stand still for all
   * that, so it is to be resumed; one whose resume failed is told again at the next look, or it would stand still for good.
   */
  async #watch(job: Pausable, signal: AbortSignal): Promise<void> {
    let paused = false;
    while (!signal.aborted) {
      await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      const room = await this.#look();
      if (room !== paused) continue;
      if (room) paused = !(await goesOn(job));
      else {
        paused = true;
        await job.pause().catch(() => {});
      }
    }
  }

  async #look(): Promise<boolean> {
    const room = await this.#options.hasRoom().catch(() => true);
    this.#lookedAtMs = performance.now();
    if (room === this.#waits) {
      this.#waits = !room;
      this.#options.onWait(this.#waits);
    }
    return room;
  }

  async #pause(): Promise<void> {
    const { signal } = this.#options;
    await sleep(LOOK_EVERY_MS, undefined, { signal });
  }
}

function goesOn(job: Pausable): Promise<boolean> {
  return job.resume().then(
    () => true,
    () => false,
  );
}
