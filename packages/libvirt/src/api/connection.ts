// A connection to a libvirt daemon: finding and defining domains and storage, what the host is, events.

import type { ConnectionClosed } from '../errors/connection.ts';
import type { DomainEventName } from '../events/kinds.ts';
import type { EventRouter } from '../events/router.ts';
import type { EventStream } from '../events/stream.ts';
import { connection as connectionProcedures } from '../procedures/connect.ts';
import type { Lanes } from '../rpc/lanes.ts';
import type { Domain } from './domain/domain.ts';
import {
  type DomainEvent,
  domainEventSource,
  type MonitorEvent,
  monitorEventSource,
  type PoolEvent,
  poolLifecycleSource,
  poolRefreshSource,
} from './event-sources.ts';
import { Inventory } from './inventory.ts';
import type { StoragePool } from './storage/pool.ts';

const CLOSE_TIMEOUT_MS = 2_000;

export class Connection extends Inventory implements AsyncDisposable {
  /** The connection URI as it was given or found. */
  readonly uri: string;
  /** Resolves once, when the connection is over, with the error that every pending call got. */
  readonly closed: Promise<ConnectionClosed>;
  readonly #router: EventRouter;

  constructor(lanes: Lanes, router: EventRouter, uri: string) {
    super(lanes);
    this.uri = uri;
    this.closed = lanes.first.closed;
    this.#router = router;
  }

  get isClosed(): boolean {
    return this.lanes.first.isOver;
  }

  /**
   * Subscribes to a domain event, of one domain or of all. Resolves when the daemon has confirmed it; from then
   * on none is missed; one that happened just before may still come. There is no replay: after a new connection subscribe first, then read the state.
   *
   * @throws LibvirtError when the daemon does not know the event (INVALID_ARG or INTERNAL_ERROR by version).
   */
  subscribe<E extends DomainEventName>(
    event: E,
    options: { readonly domain?: Domain } = {},
  ): Promise<EventStream<DomainEvent<E>>> {
    return this.#router.subscribe(domainEventSource(this.lanes, event, options.domain ?? null));
  }

  /** What happens to storage pools: started, stopped, created… */
  subscribePoolLifecycle(options: { readonly pool?: StoragePool } = {}): Promise<EventStream<PoolEvent>> {
    return this.#router.subscribe(poolLifecycleSource(this.lanes, options.pool ?? null));
  }

  subscribePoolRefresh(options: { readonly pool?: StoragePool } = {}): Promise<EventStream<PoolEvent>> {
    return this.#router.subscribe(poolRefreshSource(this.lanes, options.pool ?? null));
  }

  /** QEMU's own events, of one kind (`event`: "BLOCK_JOB_READY") or all. Only of the qemu driver. */
  subscribeMonitor(
    options: { readonly event?: string; readonly domain?: Domain } = {},
  ): Promise<EventStream<MonitorEvent>> {
    const { event = null, domain = null } = options;
    return this.#router.subscribe(monitorEventSource(this.lanes, event, domain));
  }

  /** Says goodbye and closes. Pending calls and event streams end with ConnectionClosed, `why: 'closed'`. */
  async close(): Promise<void> {
    if (!this.isClosed) {
      try {
        await this.lanes.first.call(connectionProcedures.close, {}, { timeoutMs: CLOSE_TIMEOUT_MS });
      } catch {
        // The daemon may hang up before its reply is through (virt-ssh-helper); closing is what we want anyway.
      }
      this.lanes.first.end();
    }
    await this.closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
