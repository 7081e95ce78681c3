// Deadlines and abort signals of one operation, as one thing that fires at most once.

/** The last argument of every call. */
export interface CallOptions {
  /** Milliseconds until the call fails with CallTimeout; null for no deadline. Default: the procedure's own. */
  readonly timeoutMs?: number | null;
  /** Gives up the call with the signal's reason. The daemon may carry it out all the same. */
  readonly signal?: AbortSignal;
}

/**
 * The daemon waits up to 30 s for a domain's job lock before it answers with error 68, and a few calls take it
 * twice: after 65 s a call that is not meant to be long is stuck in QEMU's monitor.
 */
export const DEFAULT_TIMEOUT_MS = 65_000;

export class Deadline {
  readonly timeoutMs: number | null;
  readonly signal: AbortSignal | undefined;
  readonly #atMs: number;

  constructor(options: CallOptions, defaultTimeoutMs: number | null) {
    this.timeoutMs = options.timeoutMs === undefined ? defaultTimeoutMs : options.timeoutMs;
    this.signal = options.signal;
    this.#atMs = this.timeoutMs === null ? Number.POSITIVE_INFINITY : performance.now() + this.timeoutMs;
  }

  /**
   * Calls `giveUp` once, with `timeout` when the time is over or `signal` when the signal aborts (at once if it
   * already has). Returns what stops watching.
   */
  watch(giveUp: (cause: 'timeout' | 'signal') => void): () => void {
    const { signal } = this;
    if (signal?.aborted) {
      giveUp('signal');
      return () => {};
    }
    let timer: NodeJS.Timeout | undefined;
    const onAbort = () => {
      clearTimeout(timer);
      giveUp('signal');
    };
    if (this.timeoutMs !== null) {
      timer = setTimeout(
        () => {
          signal?.removeEventListener('abort', onAbort);
          giveUp('timeout');
        },
        clampedDelay(this.#atMs - performance.now()),
      );
    }
    signal?.addEventListener('abort', onAbort, { once: true });
    return () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
  }
}

/** setTimeout takes 31 bits of milliseconds (24 days); more would fire at once. */
function clampedDelay(ms: number): number {
  return Math.min(Math.max(ms, 0), 0x7fff_ffff);
}

/** Waits for `promise`, but no longer than the deadline; `onTimeout` makes the error of a passed one. */
export function withDeadline<T>(promise: Promise<T>, deadline: Deadline, onTimeout: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = deadline.watch((cause) =>
      reject(cause === 'timeout' ? onTimeout() : deadline.signal?.reason),
    );
    promise.then(resolve, reject).finally(stop);
  });
}
