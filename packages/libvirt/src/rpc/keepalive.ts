// libvirt's keepalive, client side: notices a far side that fell silent.

export interface KeepaliveOptions {
  /** Silence, in ms, before each ping. */
  readonly intervalMs: number;
  /** So many pings without any frame in return, and the connection is given up after one more interval. */
  readonly count: number;
}

/** libvirt's own defaults (keepalive_interval and keepalive_count of libvirt.conf). */
export const DEFAULT_KEEPALIVE: KeepaliveOptions = { intervalMs: 5_000, count: 5 };

export const KeepaliveProcedure = { PING: 1, PONG: 2 } as const;

/** Pings after each interval of silence, and reports a far side that left all of them unanswered. */
export class Keepalive {
  readonly #options: KeepaliveOptions;
  readonly #ping: () => void;
  readonly #silent: (detail: string) => void;
  #timer: NodeJS.Timeout;
  #stopped = false;
  #heard = false;
  #unanswered = 0;

  constructor(options: KeepaliveOptions, ping: () => void, silent: (detail: string) => void) {
    this.#options = options;
    this.#ping = ping;
    this.#silent = silent;
    this.#timer = this.#arm();
  }

  /** Any frame from the far side shows that it lives. */
  heard(): void {
    this.#heard = true;
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #arm(): NodeJS.Timeout {
    // The socket keeps the process alive, not this timer.
    return setTimeout(() => this.#tick(), this.#options.intervalMs).unref();
  }

  #tick(): void {
    if (!this.#heard && this.#unanswered >= this.#options.count) {
      // A process that was stopped for a while runs its timers before it reads its sockets: let it read first.
      setImmediate(() => this.#conclude());
      return;
    }
    this.#next();
  }

  #conclude(): void {
    if (this.#stopped) return;
    if (this.#heard) this.#next();
    else this.#silent(`no answer to ${this.#unanswered} pings, ${this.#options.intervalMs} ms apart`);
  }

  #next(): void {
    if (this.#heard) {
      this.#heard = false;
      this.#unanswered = 0;
    } else {
      this.#unanswered++;
      this.#ping();
    }
    this.#timer = this.#arm();
  }
}
