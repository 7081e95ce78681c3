// The events of one subscription, as an async iterable that drops none.

/**
 * Iterate with `for await`, or take one with `next()`. Events that nobody has taken yet are kept, however many.
 * When the connection ends, the events already received come first, then iteration throws ConnectionClosed:
 * whatever happened after that is unknown, so read the state again.
 */
export class EventStream<T> implements AsyncIterableIterator<T, undefined, undefined>, AsyncDisposable {
  readonly #events: T[] = [];
  readonly #takers: { resolve(result: IteratorResult<T, undefined>): void; reject(error: unknown): void }[] =
    [];
  readonly #release: () => Promise<void>;
  #end: 'closed' | { readonly error: unknown } | undefined;

  /** `release` ends the subscription on the daemon's side. */
  constructor(release: () => Promise<void>) {
    this.#release = release;
  }

  /** Events received and not taken yet. */
  get buffered(): number {
    return this.#events.length;
  }

  /** @throws ConnectionClosed when the connection is over and all events received before have been taken. */
  next(): Promise<IteratorResult<T, undefined>> {
    const event = this.#events.shift();
    if (event !== undefined) return Promise.resolve({ done: false, value: event });
    if (this.#end === 'closed') return Promise.resolve({ done: true, value: undefined });
    if (this.#end !== undefined) return Promise.reject(this.#end.error);
    return new Promise((resolve, reject) => {
      this.#takers.push({ resolve, reject });
    });
  }

  /** Ends the subscription; events not taken yet are gone. Safe to call again, and after the connection's end. */
  async close(): Promise<void> {
    if (this.#end === 'closed') return;
    const connected = this.#end === undefined;
    this.#end = 'closed';
    this.#events.length = 0;
    for (const taker of this.#takers.splice(0)) taker.resolve({ done: true, value: undefined });
    if (connected) await this.#release();
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    await this.close();
    return { done: true, value: undefined };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** For the router: an event arrived. */
  push(event: T): void {
    if (this.#end !== undefined) return;
    const taker = this.#takers.shift();
    if (taker !== undefined) taker.resolve({ done: false, value: event });
    else this.#events.push(event);
  }

  /** For the router: the connection is over. */
  fail(error: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = { error };
    for (const taker of this.#takers.splice(0)) taker.reject(error);
  }
}
