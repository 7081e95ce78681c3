// How each family of events is asked for, and what an event looks like to the caller.

import {
  type DomainEventName,
  type DomainEventPayload,
  domainEvents,
  type EventKind,
  monitorEvent,
  poolEvents,
} from '../events/kinds.ts';
import { POOL_CHANGES, word } from '../events/names.ts';
import type { EventSource } from '../events/router.ts';
import { eventRegistration } from '../procedures/events.ts';
import { qemu } from '../procedures/qemu.ts';
import type { Lanes } from '../rpc/lanes.ts';
import { Program } from '../rpc/procedure.ts';
import type { Infer } from '../xdr/schema.ts';
import { Domain } from './domain/domain.ts';
import { StoragePool } from './storage/pool.ts';

/** An event: the domain it is about, and what the event's table says. */
export type DomainEvent<E extends DomainEventName> = { readonly domain: Domain } & DomainEventPayload<E>;

type Body = Infer<EventKind<unknown>['body']>;

/** `domain` null asks for the event of all domains. */
export function domainEventSource<E extends DomainEventName>(
  lanes: Lanes,
  name: E,
  domain: Domain | null,
): EventSource<Body, DomainEvent<E>> {
  const kind: EventKind<DomainEventPayload<E>> = domainEvents[name] as EventKind<DomainEventPayload<E>>;
  return {
    program: Program.REMOTE,
    procedure: kind.procedure,
    body: kind.body,
    key: `domain:${kind.id}:${domain?.uuid ?? '*'}`,
    toEvent: (body) => ({ domain: new Domain(lanes, body.domain), ...kind.payload(body) }),
    register: async () => {
      const args = { eventId: kind.id, dom: domain?.ref ?? null };
      return (await lanes.first.call(eventRegistration.domain, args)).callbackId;
    },
    deregister: async (callbackId) => {
      await lanes.first.call(eventRegistration.domainEnd, { callbackId });
    },
  };
}

/** What a storage pool went through; `refresh` means that its volumes were looked at anew. */
export interface PoolEvent {
  readonly pool: StoragePool;
  readonly event: (typeof POOL_CHANGES)[number] | 'refreshed' | 'unknown';
}

export function poolLifecycleSource(lanes: Lanes, pool: StoragePool | null) {
  const { id, procedure, body } = poolEvents.lifecycle;
  const toEvent = (b: Infer<typeof body>): PoolEvent => ({
    pool: new StoragePool(lanes, b.pool),
    event: word(POOL_CHANGES, b.event),
  });
  return { program: Program.REMOTE, procedure, body, toEvent, ...poolRegistration(lanes, id, pool) };
}

export function poolRefreshSource(lanes: Lanes, pool: StoragePool | null) {
  const { id, procedure, body } = poolEvents.refresh;
  const toEvent = (b: Infer<typeof body>): PoolEvent => ({
    pool: new StoragePool(lanes, b.pool),
    event: 'refreshed',
  });
  return { program: Program.REMOTE, procedure, body, toEvent, ...poolRegistration(lanes, id, pool) };
}

function poolRegistration(lanes: Lanes, eventId: number, pool: StoragePool | null) {
  return {
    key: `pool:${eventId}:${pool?.uuid ?? '*'}`,
    register: async () => {
      const args = { eventId, pool: pool?.ref ?? null };
      return (await lanes.first.call(eventRegistration.pool, args)).callbackId;
    },
    deregister: async (callbackId: number) => {
      await lanes.first.call(eventRegistration.poolEnd, { callbackId });
    },
  };
}

/** One of QEMU's own events, as QMP documents it. */
export interface MonitorEvent {
  readonly domain: Domain;
  /** BLOCK_JOB_READY, JOB_STATUS_CHANGE… */
  readonly event: string;
  /** The event's `data` member, or undefined. */
  readonly data: unknown;
  readonly microsecondsSinceEpoch: bigint;
}

export function monitorEventSource(lanes: Lanes, event: string | null, domain: Domain | null) {
  const { procedure, body } = monitorEvent;
  return {
    program: Program.QEMU,
    procedure,
    body,
    key: `monitor:${event ?? '*'}:${domain?.uuid ?? '*'}`,
    toEvent: (b: Infer<typeof body>): MonitorEvent => ({
      domain: new Domain(lanes, b.domain),
      event: b.event,
      data: b.details === null ? undefined : JSON.parse(b.details),
      microsecondsSinceEpoch: b.seconds * 1_000_000n + BigInt(b.microseconds),
    }),
    register: async () => {
      const args = { dom: domain?.ref ?? null, event, flags: 0 };
      return (await lanes.first.call(qemu.monitorEventRegister, args)).callbackId;
    },
    deregister: async (callbackId: number) => {
      await lanes.first.call(qemu.monitorEventDeregister, { callbackId });
    },
  };
}
