// Wakes the loop: an event rings it, a slow poll rings it when events were missed.
import type { Millis } from '../model/units.ts';

export class Bell {
  #rung = false;
  #wake: (() => void) | undefined;

  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Returns when it rings (also if it rang since the last wait), after `atMostMs`, or when the signal aborts. */
  async wait(atMostMs: Millis, signal: AbortSignal): Promise<void> {
    if (!this.#rung && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          this.#wake = undefined;
          resolve();
        };
        const timer = setTimeout(done, atMostMs);
        signal.addEventListener('abort', done);
        this.#wake = done;
      });
    }
    this.#rung = false;
  }
}

/** Rings with each event, after `note` has had it, and when the connection dropped: the loop meets that at its next call. */
export async function ringFor<T>(
  bell: Bell,
  events: AsyncIterable<T>,
  note: (event: T) => void = () => {},
): Promise<void> {
  try {
    for await (const event of events) {
      note(event);
      bell.ring();
    }
  } catch {
    bell.ring();
  }
}
