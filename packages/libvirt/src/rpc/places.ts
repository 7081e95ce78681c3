// Who may use which of the few places a server gives a connection. No I/O and no clock in here.

import type { Pace } from './procedure.ts';

/**
 * libvirtd works on five calls of a connection at once (max_client_requests) and then stops reading its socket:
 * a sixth call, and even our keepalive, would wait unread. Four leaves the server always reading.
 */
export const PLACES = 4;
/** One place is kept for calls that never wait, so that a stuck domain cannot keep us from looking. */
export const PLACES_FOR_WAITING = 3;

export interface Candidate {
  readonly pace: Pace;
  /** Called once, synchronously, when the candidate gets a place. */
  start(): void;
}

/** First come, first served, within what the pace allows. */
export class Places {
  readonly #reserve: boolean;
  #instantQueue: Candidate[] = [];
  #waitingQueue: Candidate[] = [];
  #taken = 0;
  #takenByWaiting = 0;
  #turns = 0;

  /** `reserve` keeps the last place for instant calls; a connection that carries only long calls needs none. */
  constructor(reserve: boolean) {
    this.#reserve = reserve;
  }

  /** Places in use plus calls in line. */
  get load(): number {
    return this.#taken + this.#instantQueue.length + this.#waitingQueue.length;
  }

  /** How many calls that may wait have given their place back: whether the line of those moves. */
  get turns(): number {
    return this.#turns;
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
  release(candidate: Candidate): void {
    this.#taken--;
    if (candidate.pace !== 'instant') {
      this.#takenByWaiting--;
      this.#turns++;
    }
    this.#admit();
  }

  #admit(): void {
    while (this.#taken < PLACES) {
      const next = this.#nextInLine();
      if (next === undefined) return;
      this.#taken++;
      if (next.pace !== 'instant') this.#takenByWaiting++;
      next.start();
    }
  }

  #nextInLine(): Candidate | undefined {
    const allowed = this.#reserve ? PLACES_FOR_WAITING : PLACES;
    return (
      this.#instantQueue.shift() ?? (this.#takenByWaiting < allowed ? this.#waitingQueue.shift() : undefined)
    );
  }
}
