// Connections of one kind beside the first, opened as they are needed.

import type { RpcConnection } from './connection.ts';
import { PLACES } from './places.ts';

export interface Lane {
  readonly opening: Promise<RpcConnection>;
  connection: RpcConnection | undefined;
  /** Calls that were given to this lane and are not over. */
  assigned: number;
}

export class LanePool {
  readonly #most: number;
  readonly #open: () => Promise<RpcConnection>;
  readonly #lanes = new Set<Lane>();

  constructor(most: number, open: () => Promise<RpcConnection>) {
    this.#most = most;
    this.#open = open;
  }

  /** The lane with the most room; a new one when all are full and there may be another. */
  pick(): Lane {
    const alive = [...this.#lanes].filter(({ connection }) => connection?.isOver !== true);
    const lanes = alive.sort((a, b) => load(a) - load(b));
    const idlest = lanes[0];
    if (idlest !== undefined && (load(idlest) < PLACES || lanes.length >= this.#most)) return idlest;
    return this.#add();
  }

  get inFlight(): number {
    return this.connections().reduce((sum, connection) => sum + connection.inFlight, 0);
  }

  connections(): readonly RpcConnection[] {
    return [...this.#lanes].flatMap(({ connection }) => (connection === undefined ? [] : [connection]));
  }

  #add(): Lane {
    const lane: Lane = { opening: this.#open(), connection: undefined, assigned: 0 };
    this.#lanes.add(lane);
    const forget = () => void this.#lanes.delete(lane);
    lane.opening.then((connection) => {
      lane.connection = connection;
      void connection.closed.then(forget);
    }, forget);
    return lane;
  }
}

function load(lane: Lane): number {
  return Math.max(lane.assigned, lane.connection?.load ?? 0);
}
