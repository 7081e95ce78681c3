// One call between being made and being over: in line, sent, or given up but still owed a reply.

import { CallTimeout } from '../errors/connection.ts';
import type { Deadline } from './deadline.ts';
import type { Frame } from './frame.ts';
import type { Candidate, Places } from './places.ts';
import type { Pace } from './procedure.ts';

/** A call left a line that did not move for `leaveLineAfterMs`; it was not sent. Never leaves the RPC layer. */
export class StillInLine extends Error {
  override readonly name = 'StillInLine';
}

interface PendingCallParts {
  readonly name: string;
  readonly pace: Pace;
  readonly deadline: Deadline;
  /** Leave the line when nobody in it has moved on for so long. */
  readonly leaveLineAfterMs: number | undefined;
  readonly locks: string | undefined;
  readonly places: Places;
  /** Writes the call's frame to the transport. */
  readonly send: () => void;
  /** Handles the reply: resolves or rejects the caller. Throws when the reply is malformed. */
  readonly deliver: (reply: Frame) => void;
  readonly reject: (error: unknown) => void;
  /** The call gave up. `sent` tells whether a reply is still to be expected. */
  readonly abandoned: (call: PendingCall, sent: boolean) => void;
}

export class PendingCall implements Candidate {
  readonly pace: Pace;
  readonly locks: string | undefined;
  readonly #parts: PendingCallParts;
  #state: 'in line' | 'sent' | 'settled' = 'in line';
  #wasSent = false;
  #stopWatching: () => void = () => {};
  #lineTimer: NodeJS.Timeout | undefined;

  constructor(parts: PendingCallParts) {
    this.pace = parts.pace;
    this.locks = parts.locks;
    this.#parts = parts;
  }

  /** Starts the clock. False when the call is over already, because its signal had fired: it must not be sent. */
  watch(): boolean {
    const { deadline, leaveLineAfterMs } = this.#parts;
    this.#stopWatching = deadline.watch((cause) => {
      const sent = this.#state === 'sent';
      const timedOut = new CallTimeout(this.#parts.name, deadline.timeoutMs ?? 0, sent);
      this.#giveUp(cause === 'timeout' ? timedOut : deadline.signal?.reason);
    });
    if (this.#state === 'settled') return false;
    if (leaveLineAfterMs !== undefined) this.#watchLine(leaveLineAfterMs);
    return true;
  }

  /** A line that moves is worth waiting in, however long; one that stands still is not. */
  #watchLine(afterMs: number): void {
    const { places } = this.#parts;
    const before = places.turns;
    this.#lineTimer = setTimeout(() => {
      if (places.turns === before && !places.isHeldByLock(this)) this.#giveUp(new StillInLine());
      else this.#watchLine(afterMs);
    }, afterMs);
  }

  /** Whether it takes a place: sent, and its reply still to come. */
  get isInFlight(): boolean {
    return this.#wasSent;
  }

  start(): void {
    clearTimeout(this.#lineTimer);
    this.#state = 'sent';
    this.#wasSent = true;
    this.#parts.send();
  }

  /** The reply came. One that nobody waits for any more is dropped unread. */
  reply(frame: Frame): void {
    if (this.#state === 'settled') return;
    this.#parts.deliver(frame);
    this.#settle();
  }

  /** The connection is over. */
  fail(error: unknown): void {
    if (this.#state === 'settled') return;
    this.#settle();
    this.#parts.reject(error);
  }

  #giveUp(error: unknown): void {
    if (this.#state === 'settled') return;
    const sent = this.#state === 'sent';
    this.#settle();
    this.#parts.abandoned(this, sent);
    this.#parts.reject(error);
  }

  #settle(): void {
    this.#state = 'settled';
    clearTimeout(this.#lineTimer);
    this.#stopWatching();
  }
}
