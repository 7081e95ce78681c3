// Who may use which of the few places a server gives a connection. No I/O and no clock in here.

import type { JobLocks } from './job-locks.ts';
import type { Pace } from './procedure.ts';

/**
 * libvirtd works on five calls of a connection at once (max_client_requests) and then stops reading its socket:
 * a sixth call, and even our keepalive, would wait unread. Four leaves the server always reading.
 */
export const PLACES = 4;
/** One place is kept for calls that never wait, so that stuck domains cannot keep us from looking. */
export const PLACES_FOR_WAITING = 3;
/** And of those one for calls that look at a domain without its job lock. */
export const PLACES_FOR_JOBS = 2;

export interface Candidate {
  readonly pace: Pace;
  /** The domain whose job lock the call waits for, if it does. */
  readonly locks: string | undefined;
  /** Called once, synchronously, when the candidate gets a place. */
  start(): void;
}

/** First come, first served, within what the pace and the job locks allow. */
export class Places {
  readonly #reserve: boolean;
  readonly #jobLocks: JobLocks;
  readonly #instantQueue: Candidate[] = [];
  readonly #waitingQueue: Candidate[] = [];
  readonly #close: () => void;
  #taken = 0;
  #takenByWaiting = 0;
  #takenByJobs = 0;
  #turns = 0;

  /** `reserve` keeps places as the constants say; a connection that carries only slow calls needs none. */
  constructor(reserve: boolean, jobLocks: JobLocks) {
    this.#reserve = reserve;
    this.#jobLocks = jobLocks;
    this.#close = jobLocks.onGivenBack(() => this.#admit());
  }

  /** Places in use plus calls in line. */
  get load(): number {
    return this.#taken + this.#instantQueue.length + this.#waitingQueue.length;
  }

  /** Places in use. */
  get taken(): number {
    return this.#taken;
  }

  /** How many calls that may wait have given their place back: whether the line of those moves. */
  get turns(): number {
    return this.#turns;
  }

  /** Whether it is its domain's job lock that keeps the candidate in line: another lane would not help it. */
  isHeldByLock({ locks }: Candidate): boolean {
    return locks !== undefined && this.#jobLocks.isFull(locks);
  }

  enter(candidate: Candidate): void {
    (candidate.pace === 'instant' ? this.#instantQueue : this.#waitingQueue).push(candidate);
    this.#admit();
  }

  /** Takes a candidate out of the line. False when it has already started. */
  leave(candidate: Candidate): boolean {
    const queue = candidate.pace === 'instant' ? this.#instantQueue : this.#waitingQueue;
    const at = queue.indexOf(candidate);
    if (at === -1) return false;
    queue.splice(at, 1);
    return true;
  }

  /** Gives back the place of a candidate that had started. */
  release({ pace, locks }: Candidate): void {
    this.#taken--;
    if (pace !== 'instant') {
      this.#takenByWaiting--;
      this.#turns++;
    }
    if (locks !== undefined) {
      this.#takenByJobs--;
      this.#jobLocks.giveBack(locks);
    }
    this.#admit();
  }

  /** The connection is over: nobody starts any more. The locks of what was in flight are free. */
  abandon(inFlight: Iterable<Candidate>): void {
    this.#close();
    for (const { locks } of inFlight) if (locks !== undefined) this.#jobLocks.giveBack(locks);
  }

  #admit(): void {
    while (this.#taken < PLACES) {
      const next = this.#instantQueue.shift() ?? this.#nextWaiting();
      if (next === undefined) return;
      this.#taken++;
      if (next.pace !== 'instant') this.#takenByWaiting++;
      if (next.locks !== undefined) {
        this.#takenByJobs++;
        this.#jobLocks.take(next.locks);
      }
      next.start();
    }
  }

  #nextWaiting(): Candidate | undefined {
    if (this.#reserve && this.#takenByWaiting >= PLACES_FOR_WAITING) return undefined;
    const jobs = !this.#reserve || this.#takenByJobs < PLACES_FOR_JOBS;
    const at = this.#waitingQueue.findIndex(
      (each) => each.locks === undefined || (jobs && !this.isHeldByLock(each)),
    );
    return at === -1 ? undefined : this.#waitingQueue.splice(at, 1)[0];
  }
}
