// How each family of events is asked for, and what an event looks like to the caller.

import {
  type DomainEventName,
  type DomainEventPayload,
  domainEvents,
  type EventKind,
} from '../events/kinds.ts';
import type { EventSource } from '../events/router.ts';
import { eventRegistration } from '../procedures/events.ts';
import type { Lanes } from '../rpc/lanes.ts';
import { Program } from '../rpc/procedure.ts';
import type { Infer } from '../xdr/schema.ts';
import { Domain } from './domain/domain.ts';

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
