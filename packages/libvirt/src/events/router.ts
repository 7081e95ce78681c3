// Brings every event message of a connection to the subscriptions it belongs to.

import { ConnectionClosed } from '../errors/connection.ts';
import type { Frame } from '../rpc/frame.ts';
import { Program } from '../rpc/procedure.ts';
import { XdrReader } from '../xdr/reader.ts';
import { int32, type Schema, struct } from '../xdr/schema.ts';
import { word } from './names.ts';
import { EventStream } from './stream.ts';

/** A source of events: the message that carries them, and how to ask the daemon for them. */
export interface EventSource<B extends { readonly callbackId: number }, T> {
  readonly program: number;
  readonly procedure: number;
  readonly body: Schema<B>;
  readonly toEvent: (body: B) => T;
  /** Two subscriptions with the same key share one registration: the daemon refuses a second one. */
  readonly key: string;
  register(): Promise<number>;
  deregister(callbackId: number): Promise<void>;
}

/** CONNECT_EVENT_CONNECTION_CLOSED, which has no callback id. */
const CONNECTION_CLOSED = 362;
const connectionClosed = struct({ reason: int32() });
const CLOSE_REASONS = ['error', 'end of file', 'keepalive', 'client'] as const;

interface Registration {
  readonly streams: Set<EventStream<unknown>>;
  readonly channel: Channel;
  readonly toEvent: (body: never) => unknown;
  callbackId: number | undefined;
  ready: Promise<void>;
}

/** All registrations whose events come in one kind of message. */
interface Channel {
  readonly body: Schema<{ readonly callbackId: number }>;
  readonly byCallback: Map<number, Registration>;
  registering: number;
  /** Events for registrations whose own reply has not been handled yet: the daemon does not wait for us. */
  early: { readonly callbackId: number }[];
}

export class EventRouter {
  readonly #channels = new Map<string, Channel>();
  readonly #registrations = new Map<string, Registration>();
  readonly #deregistering = new Map<string, Promise<void>>();
  #hypervisorClosed: (reason: string) => void = () => {};
  #failure: { readonly error: unknown } | undefined;

  /** Registers who is to know when the daemon has lost the hypervisor it speaks for. */
  onHypervisorClosed(listener: (reason: string) => void): void {
    this.#hypervisorClosed = listener;
  }

  /** Takes an event message. @throws XdrError when its body is not what the event has. */
  receive(frame: Frame): void {
    if (frame.program === Program.REMOTE && frame.procedure === CONNECTION_CLOSED) {
      const { reason } = readBody(connectionClosed, frame);
      this.#hypervisorClosed(word(CLOSE_REASONS, reason));
      return;
    }
    // A message we never asked for belongs to nobody: servers send only what was registered.
    const channel = this.#channels.get(channelName(frame));
    if (channel === undefined) return;
    const body = readBody(channel.body, frame);
    const registration = channel.byCallback.get(body.callbackId);
    if (registration !== undefined) deliver(registration, body);
    else if (channel.registering > 0) channel.early.push(body);
  }

  /** The connection is over: every stream ends with `error` after the events it has. */
  fail(error: unknown): void {
    this.#failure = { error };
    for (const { streams } of this.#registrations.values()) {
      for (const stream of streams) stream.fail(error);
    }
    this.#registrations.clear();
    this.#channels.clear();
  }

  /** Subscribes; resolves when the daemon has confirmed it, so that nothing that happens afterwards is missed. */
  async subscribe<B extends { readonly callbackId: number }, T>(
    source: EventSource<B, T>,
  ): Promise<EventStream<T>> {
    if (this.#failure !== undefined) throw this.#failure.error;
    const registration = this.#registrations.get(source.key) ?? this.#open(source);
    const stream: EventStream<T> = new EventStream<T>(() => this.#leave(source, registration, stream));
    registration.streams.add(stream as EventStream<unknown>);
    await registration.ready;
    return stream;
  }

  #open<B extends { readonly callbackId: number }, T>(source: EventSource<B, T>): Registration {
    const registration: Registration = {
      streams: new Set(),
      channel: this.#channel(source),
      toEvent: source.toEvent as (body: never) => unknown,
      callbackId: undefined,
      ready: Promise.resolve(),
    };
    registration.ready = this.#register(source, registration);
    this.#registrations.set(source.key, registration);
    return registration;
  }

  #channel<B extends { readonly callbackId: number }, T>(source: EventSource<B, T>): Channel {
    const name = channelName(source);
    const known = this.#channels.get(name);
    if (known !== undefined) return known;
    const channel: Channel = {
      body: source.body as unknown as Channel['body'],
      byCallback: new Map(),
      registering: 0,
      early: [],
    };
    this.#channels.set(name, channel);
    return channel;
  }

  async #register<B extends { readonly callbackId: number }, T>(
    source: EventSource<B, T>,
    registration: Registration,
  ): Promise<void> {
    const { channel } = registration;
    await this.#deregistering.get(source.key);
    channel.registering++;
    try {
      const callbackId = await source.register();
      registration.callbackId = callbackId;
      channel.byCallback.set(callbackId, registration);
      for (const body of channel.early) if (body.callbackId === callbackId) deliver(registration, body);
    } catch (error) {
      if (this.#registrations.get(source.key) === registration) this.#registrations.delete(source.key);
      throw error;
    } finally {
      channel.registering--;
      if (channel.registering === 0) channel.early = [];
    }
  }

  async #leave<B extends { readonly callbackId: number }, T>(
    source: EventSource<B, T>,
    registration: Registration,
    stream: EventStream<T>,
  ): Promise<void> {
    registration.streams.delete(stream as EventStream<unknown>);
    const { callbackId } = registration;
    if (registration.streams.size > 0 || callbackId === undefined || this.#failure !== undefined) return;
    this.#registrations.delete(source.key);
    registration.channel.byCallback.delete(callbackId);
    // Whoever subscribes to the same while this is under way waits for it: the daemon may take them in any order.
    const deregistered = source.deregister(callbackId);
    const over = deregistered.catch(() => {});
    this.#deregistering.set(source.key, over);
    try {
      await deregistered;
    } catch (error) {
      if (!(error instanceof ConnectionClosed)) throw error;
    } finally {
      if (this.#deregistering.get(source.key) === over) this.#deregistering.delete(source.key);
    }
  }
}

function readBody<B>(schema: Schema<B>, frame: Frame): B {
  const reader = new XdrReader(frame.payload);
  const body = schema.read(reader);
  reader.end();
  return body;
}

function channelName(of: { readonly program: number; readonly procedure: number }): string {
  return `${of.program}:${of.procedure}`;
}

function deliver(registration: Registration, body: { readonly callbackId: number }): void {
  const event = registration.toEvent(body as never);
  for (const stream of registration.streams) stream.push(event);
}
