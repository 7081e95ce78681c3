// Several RPC connections to one daemon, used as one: a first lane for what is quick, side lanes for what is slow.

import { setTimeout as delay } from 'node:timers/promises';
import { CallTimeout, type ConnectionClosed } from '../errors/connection.ts';
import { LibvirtError } from '../errors/libvirt-error.ts';
import { host } from '../procedures/connect.ts';
import type { RpcConnection } from './connection.ts';
import { type CallOptions, DEFAULT_TIMEOUT_MS, Deadline, withDeadline } from './deadline.ts';
import { type Lane, LanePool } from './lane-pool.ts';
import { StillInLine } from './pending.ts';
import { PLACES } from './places.ts';
import type { Procedure } from './procedure.ts';

/**
 * Lanes for calls that hold a job lock or take long, and for calls that only look. All places together are fewer
 * than the daemon's workers (max_workers, 20), however many of them are stuck.
 */
const MOST_SLOW_LANES = 2;
const MOST_LOOKING_LANES = 1;
/**
 * So many calls may be in flight before a further slow one asks first whether the daemon has a worker to spare:
 * fewer than the workers that it starts with (min_workers, 5).
 */
const UNASKED_CALLS = 4;
/** So long a worker may take to come back for the next call after its answer was sent. */
const WORKER_RETURNS_MS = 5;
/** So long may the first lane's line stand still before a call that may wait moves to a side lane. */
const SPILL_AFTER_MS = 100;

/** Whoever can make calls. */
export interface Caller {
  call<A, R>(procedure: Procedure<A, R>, args: A, options?: CallOptions): Promise<R>;
}

/**
 * A server works on few calls of a connection at once (see `PLACES`), and a call stuck on one domain must not
 * keep us from asking about another, from events, or from keepalive. Events and keepalive live on the first lane.
 *
 * Order: a call on a side lane and an event on the first lane come over different sockets, so the event that a
 * call causes may arrive before or after its reply. (libvirt does not promise an order on one socket either.)
 */
export class Lanes implements Caller {
  readonly first: RpcConnection;
  readonly #openSide: () => Promise<RpcConnection>;
  readonly #slow: LanePool;
  readonly #looking: LanePool;
  readonly #exclusive = new Set<RpcConnection>();
  #slowTurn: Promise<void> = Promise.resolve();

  /** Side lanes share the first one's job locks: `openSide` gives them to each. */
  constructor(first: RpcConnection, openSide: () => Promise<RpcConnection>) {
    this.first = first;
    this.#openSide = openSide;
    const open = () => this.#openedWhileFirstLives();
    this.#slow = new LanePool(MOST_SLOW_LANES, open);
    this.#looking = new LanePool(MOST_LOOKING_LANES, open);
    void first.closed.then((error) => this.#endSides(error));
  }

  async call<A, R>(procedure: Procedure<A, R>, args: A, options: CallOptions = {}): Promise<R> {
    const { pace, hasDeadline } = procedure;
    if (pace === 'instant' || pace === 'pinned') return await this.first.call(procedure, args, options);
    const deadline = new Deadline(options, hasDeadline ? DEFAULT_TIMEOUT_MS : null);
    if (pace === 'waits') {
      try {
        return await this.first.call(procedure, args, { deadline, leaveLineAfterMs: SPILL_AFTER_MS });
      } catch (error) {
        if (!(error instanceof StillInLine)) throw error;
      }
    }
    return await this.#callOnSide(procedure, args, deadline);
  }

  /** A connection of one's own, for a stream. End it when done; it ends with the first lane. */
  async openExclusive(): Promise<RpcConnection> {
    const connection = await this.#openedWhileFirstLives();
    this.#exclusive.add(connection);
    void connection.closed.then(() => this.#exclusive.delete(connection));
    return connection;
  }

  async #openedWhileFirstLives(): Promise<RpcConnection> {
    const connection = await this.#openSide();
    if (!this.first.isOver) return connection;
    connection.end();
    throw await this.first.closed;
  }

  async #callOnSide<A, R>(procedure: Procedure<A, R>, args: A, deadline: Deadline): Promise<R> {
    if (this.first.isOver) throw await this.first.closed;
    const looks = procedure.pace === 'waits' && !procedure.takesJob;
    const lane = (looks ? this.#looking : this.#slow).pick();
    lane.assigned++;
    try {
      const timedOut = () => new CallTimeout(procedure.name, deadline.timeoutMs ?? 0, false);
      const connection = await withDeadline(this.#opened(lane), deadline, timedOut);
      const passOn = looks ? () => {} : await this.#slowTurnOn(connection, deadline, timedOut);
      const reply = connection.call(procedure, args, { deadline });
      passOn();
      return await reply;
    } finally {
      lane.assigned--;
    }
  }

  /**
   * Waits until it is a slow call's turn to be sent, and until the daemon has shown that a worker is free for it.
   * A daemon whose workers are all busy makes a new one for a call that comes alone, up to its maximum, but none
   * for the second of two that come at once (see job-locks.ts); so the question makes the worker that the call gets.
   * Returns what lets the next in line have its turn.
   */
  async #slowTurnOn(
    connection: RpcConnection,
    deadline: Deadline,
    timedOut: () => Error,
  ): Promise<() => void> {
    const before = this.#slowTurn;
    const { promise, resolve: pass } = Promise.withResolvers<void>();
    this.#slowTurn = promise;
    try {
      await withDeadline(before, deadline, timedOut);
      const crowded = this.first.inFlight + this.#slow.inFlight >= UNASKED_CALLS;
      if (crowded && connection.load < PLACES) {
        await askForWorker(connection, deadline, timedOut);
        await delay(WORKER_RETURNS_MS);
      }
      if (this.first.isOver) throw await this.first.closed;
      return crowded ? () => void setTimeout(pass, WORKER_RETURNS_MS) : pass;
    } catch (error) {
      // Whoever gives up in line must not let others pass those before it.
      void before.then(pass);
      throw error;
    }
  }

  /** The lane's connection; the first one where the server does not let us have another. */
  async #opened(lane: Lane): Promise<RpcConnection> {
    try {
      return await lane.opening;
    } catch {
      return this.first;
    }
  }

  #endSides(error: ConnectionClosed): void {
    const sides = [...this.#slow.connections(), ...this.#looking.connections(), ...this.#exclusive];
    for (const connection of sides) connection.endWith(error);
  }
}

async function askForWorker(
  connection: RpcConnection,
  deadline: Deadline,
  timedOut: () => Error,
): Promise<void> {
  try {
    await connection.call(host.cpuMap, { needMap: 0, needOnline: 0, flags: 0 }, { deadline });
  } catch (error) {
    if (error instanceof CallTimeout) throw timedOut();
    // A driver without this call has answered too.
    if (!(error instanceof LibvirtError)) throw error;
  }
}
