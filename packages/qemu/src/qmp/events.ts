// A reader's own queue of events: in order, complete, and loud when it cannot be.
import { QmpEventOverflow } from './errors.ts';
import type { QmpEvent } from './messages.ts';

type Waiter = {
  resolve: (result: IteratorResult<QmpEvent, undefined>) => void;
  reject: (error: Error) => void;
};

const DONE: IteratorResult<QmpEvent, undefined> = { done: true, value: undefined };

/**
 * Every event since it was made, once each. Iteration ends when it is closed, and throws QmpConnectionError after the
 * last event when the connection is over, or QmpEventOverflow in place of the first event that did not fit.
 */
export class EventQueue implements AsyncIterableIterator<QmpEvent, undefined>, Disposable {
  readonly #limit: number;
  readonly #onClose: (queue: EventQueue) => void;
  #events: QmpEvent[] = [];
  #waiters: Waiter[] = [];
  #end: { kind: 'open' } | { kind: 'closed' } | { kind: 'failed'; error: Error } = { kind: 'open' };

  constructor(limit: number, onClose: (queue: EventQueue) => void) {
    this.#limit = limit;
    this.#onClose = onClose;
  }

  push(event: QmpEvent): void {
    if (this.#end.kind !== 'open') return;
    const waiter = this.#waiters.shift();
    if (waiter) waiter.resolve({ done: false, value: event });
    else if (this.#events.length < this.#limit) this.#events.push(event);
    else this.fail(new QmpEventOverflow(this.#limit));
  }

  /** No more events will come: what waits already is still delivered. */
  fail(error: Error): void {
    if (this.#end.kind !== 'open') return;
    this.#end = { kind: 'failed', error };
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
    this.#onClose(this);
  }

  async next(): Promise<IteratorResult<QmpEvent, undefined>> {
    const event = this.#events.shift();
    if (event) return { done: false, value: event };
    if (this.#end.kind === 'failed') throw this.#end.error;
    if (this.#end.kind === 'closed') return DONE;
    const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<QmpEvent, undefined>>();
    this.#waiters.push({ resolve, reject });
    return promise;
  }

  /** Ends the iteration; what was not read is forgotten. */
  close(): void {
    if (this.#end.kind === 'open') this.#onClose(this);
    this.#end = { kind: 'closed' };
    this.#events = [];
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(DONE);
  }

  async return(): Promise<IteratorResult<QmpEvent, undefined>> {
    this.close();
    return DONE;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
