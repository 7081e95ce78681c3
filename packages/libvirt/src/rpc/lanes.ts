// Several RPC connections to one daemon, used as one: a first lane for what is quick, side lanes for what is slow.

import { CallTimeout, type ConnectionClosed } from '../errors/connection.ts';
import type { RpcConnection } from './connection.ts';
import { type CallOptions, DEFAULT_TIMEOUT_MS, Deadline, withDeadline } from './deadline.ts';
import { StillInLine } from './pending.ts';
import { PLACES } from './places.ts';
import type { Procedure } from './procedure.ts';

/** Side lanes are opened as long calls need them, up to so many. */
const MAX_SIDE_LANES = 8;
/** So long may the first lane's line stand still before a call that may wait moves to a side lane. */
const SPILL_AFTER_MS = 100;

/** Whoever can make calls. */
export interface Caller {
  call<A, R>(procedure: Procedure<A, R>, args: A, options?: CallOptions): Promise<R>;
}

interface Lane {
  readonly opening: Promise<RpcConnection>;
  connection: RpcConnection | undefined;
  /** Calls that were given to this lane and are not over. */
  assigned: number;
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
  readonly #sides = new Set<Lane>();
  readonly #exclusive = new Set<RpcConnection>();

  constructor(first: RpcConnection, openSide: () => Promise<RpcConnection>) {
    this.first = first;
    this.#openSide = openSide;
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
    const connection = await this.#openSide();
    if (this.first.isOver) {
      connection.end();
      throw await this.first.closed;
    }
    this.#exclusive.add(connection);
    void connection.closed.then(() => this.#exclusive.delete(connection));
    return connection;
  }

  async #callOnSide<A, R>(procedure: Procedure<A, R>, args: A, deadline: Deadline): Promise<R> {
    if (this.first.isOver) throw await this.first.closed;
    const lane = this.#pickLane();
    lane.assigned++;
    try {
      const timedOut = () => new CallTimeout(procedure.name, deadline.timeoutMs ?? 0, false);
      const connection = await withDeadline(this.#opened(lane), deadline, timedOut);
      if (this.first.isOver) throw await this.first.closed;
      return await connection.call(procedure, args, { deadline });
    } finally {
      lane.assigned--;
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

  #pickLane(): Lane {
    const lanes = [...this.#sides].sort((a, b) => load(a) - load(b));
    const idlest = lanes[0];
    if (idlest !== undefined && (load(idlest) < PLACES || lanes.length >= MAX_SIDE_LANES)) return idlest;
    return this.#addLane();
  }

  #addLane(): Lane {
    const lane: Lane = { opening: this.#openSide(), connection: undefined, assigned: 0 };
    this.#sides.add(lane);
    const forget = () => void this.#sides.delete(lane);
    lane.opening.then((connection) => {
      lane.connection = connection;
      void connection.closed.then(forget);
      if (this.first.isOver) connection.end();
    }, forget);
    return lane;
  }

  #endSides(error: ConnectionClosed): void {
    for (const lane of this.#sides) lane.connection?.endWith(error);
    for (const connection of this.#exclusive) connection.endWith(error);
  }
}

function load(lane: Lane): number {
  return Math.max(lane.assigned, lane.connection?.load ?? 0);
}
