// Counts, over all lanes of a connection, the calls in flight that wait for a domain's job lock.

/**
 * libvirt works on one call of a domain at a time (its job lock) and lets each further one occupy a worker thread
 * of the daemon meanwhile. Those are few, and when a burst has taken all, the daemon makes no more
 * (virThreadPoolSendJob subtracts unsigned numbers) and serves nobody, virsh included, until one is free.
 * A second call in flight saves the round trip between two; more would gain nothing.
 */
export const CALLS_PER_JOB_LOCK = 2;

export class JobLocks {
  readonly #held = new Map<string, number>();
  readonly #listeners = new Set<() => void>();

  /** Whether a further call for this domain has to wait. */
  isFull(domain: string): boolean {
    return (this.#held.get(domain) ?? 0) >= CALLS_PER_JOB_LOCK;
  }

  take(domain: string): void {
    this.#held.set(domain, (this.#held.get(domain) ?? 0) + 1);
  }

  /** Tells every listener, so that whichever lane has a call in line for this domain can start it. */
  giveBack(domain: string): void {
    const left = (this.#held.get(domain) ?? 0) - 1;
    if (left > 0) this.#held.set(domain, left);
    else this.#held.delete(domain);
    for (const listener of this.#listeners) listener();
  }

  /** Returns what ends the listening. */
  onGivenBack(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
