// A QMP connection: commands answered by id, events to every reader, and one end for all when the stream ends.
import type { Duplex } from 'node:stream';
import { type ExactJson, formatExactJson, type JsonInput } from '../json/exact-json.ts';
import { unreachable } from '../unreachable.ts';
import type { QmpCommands } from './commands.ts';
import { QmpAbandoned, QmpCommandError, QmpConnectionError } from './errors.ts';
import { EventQueue } from './events.ts';
import { LineSplitter } from './lines.ts';
import { parseMessage, type QemuVersion, type QmpMessage } from './messages.ts';

export interface QmpOptions {
  /** For the greeting and the handshake; default 10 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** The longest line accepted; default 64 MiB (query-named-block-nodes is long on big chains). */
  readonly maxLineBytes?: number;
  /** Events kept for each reader that is behind; default 100,000. */
  readonly maxWaitingEvents?: number;
}

export interface ExecuteOptions {
  /** Default 30 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

type Arguments<C extends keyof QmpCommands> = undefined extends QmpCommands[C]['arguments']
  ? [args?: QmpCommands[C]['arguments'], options?: ExecuteOptions]
  : [args: QmpCommands[C]['arguments'], options?: ExecuteOptions];

interface Pending {
  readonly command: string;
  readonly resolve: (value: ExactJson) => void;
  readonly reject: (error: Error) => void;
}

const HANDSHAKE_MS = 10_000;
const EXECUTE_MS = 30_000;
const MAX_LINE_BYTES = 64 * 1024 * 1024;
const MAX_WAITING_EVENTS = 100_000;

export class QmpClient {
  /** Resolves with the reason once the connection is over; never rejects. */
  readonly ended: Promise<QmpConnectionError>;
  readonly #stream: Duplex;
  readonly #lines: LineSplitter;
  readonly #maxWaitingEvents: number;
  readonly #pending = new Map<bigint, Pending>();
  readonly #abandoned = new Set<bigint>();
  readonly #queues = new Set<EventQueue>();
  readonly #greeting = Promise.withResolvers<QemuVersion>();
  readonly #resolveEnded: (error: QmpConnectionError) => void;
  #end: QmpConnectionError | null = null;
  #version: QemuVersion | null = null;
  #lastId = 0n;

  private constructor(stream: Duplex, options: QmpOptions) {
    const { promise, resolve } = Promise.withResolvers<QmpConnectionError>();
    this.ended = promise;
    this.#resolveEnded = resolve;
    this.#stream = stream;
    this.#lines = new LineSplitter(options.maxLineBytes ?? MAX_LINE_BYTES);
    this.#maxWaitingEvents = options.maxWaitingEvents ?? MAX_WAITING_EVENTS;
    this.#greeting.promise.catch(() => {});
    stream.on('data', (chunk: Buffer) => this.#onData(chunk));
    stream.on('error', (error: Error) => this.#finish('ended', error.message, error));
    stream.on('end', () => this.#finish('ended', 'the other side ended the connection'));
    stream.on('close', () => this.#finish('ended', 'the connection was closed'));
  }

  /**
   * Takes over a stream (a socket, or a process's stdio), reads the greeting and leaves negotiation mode.
   * Throws QmpConnectionError, QmpAbandoned; the stream is destroyed then.
   */
  static async connect(stream: Duplex, options: QmpOptions = {}): Promise<QmpClient> {
    const client = new QmpClient(stream, options);
    const { timeoutMs = HANDSHAKE_MS, signal } = options;
    try {
      client.#version = await limited('the greeting', client.#greeting.promise, timeoutMs, signal);
      await client.execute('qmp_capabilities', undefined, { timeoutMs, ...(signal ? { signal } : {}) });
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** QEMU's version, as it introduced itself. */
  get version(): QemuVersion {
    return this.#version ?? { major: 0, minor: 0, micro: 0 };
  }

  /** Runs a command that is in the map. Throws QmpCommandError, QmpAbandoned, QmpConnectionError. Nothing is retried. */
  async execute<C extends keyof QmpCommands>(
    command: C,
    ...[args, options]: Arguments<C>
  ): Promise<QmpCommands[C]['returns']> {
    return (await this.executeRaw(command, args, options)) as QmpCommands[C]['returns'];
  }

  /** The same for any command. */
  async executeRaw(command: string, args?: JsonInput, options: ExecuteOptions = {}): Promise<ExactJson> {
    if (this.#end) throw this.#end;
    this.#lastId += 1n;
    const id = this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<ExactJson>();
    const line = formatExactJson({
      execute: command,
      ...(args === undefined ? {} : { arguments: args }),
      id,
    });
    this.#pending.set(id, { command, resolve, reject });
    this.#stream.write(`${line}\n`);
    try {
      return await limited(command, promise, options.timeoutMs ?? EXECUTE_MS, options.signal);
    } finally {
      // An answer may still come: it must not look like one to a question never asked.
      if (this.#pending.delete(id) && !this.#end) this.#abandoned.add(id);
    }
  }

  /** All events from now on, for one reader. Close it, or leave its loop, when you no longer read. */
  events(): EventQueue {
    const queue = new EventQueue(this.#maxWaitingEvents, (closed) => this.#queues.delete(closed));
    if (this.#end) queue.fail(this.#end);
    else this.#queues.add(queue);
    return queue;
  }

  /** Ends the connection: everything pending fails with QmpConnectionError 'closed'. */
  close(): void {
    this.#finish('closed', 'the connection was closed by us');
  }

  #onData(chunk: Buffer): void {
    if (this.#end) return;
    try {
      for (const line of this.#lines.push(chunk)) this.#onMessage(parseMessage(line));
    } catch (error) {
      if (!(error instanceof QmpConnectionError)) throw error;
      this.#finish(error.why, error.message, error);
    }
  }

  #onMessage(message: QmpMessage): void {
    switch (message.kind) {
      case 'greeting':
        this.#greeting.resolve(message.version);
        break;
      case 'event':
        for (const queue of this.#queues) queue.push(message.event);
        break;
      case 'return':
        this.#settle(message.id)?.resolve(message.value);
        break;
      case 'error': {
        const pending = this.#settle(message.id);
        pending?.reject(new QmpCommandError(pending.command, message.errorClass, message.description));
        break;
      }
      default:
        unreachable(message);
    }
  }

  /** Who waits for this answer; nobody, if it was given up. An answer to nothing ends the connection. */
  #settle(id: ExactJson | undefined): Pending | null {
    if (typeof id === 'bigint') {
      const pending = this.#pending.get(id);
      this.#pending.delete(id);
      if (pending) return pending;
      if (this.#abandoned.delete(id)) return null;
    }
    throw new QmpConnectionError('malformed', 'an answer to no question');
  }

  #finish(why: QmpConnectionError['why'], detail: string, cause?: Error): void {
    if (this.#end) return;
    const error =
      cause instanceof QmpConnectionError
        ? cause
        : new QmpConnectionError(why, detail, cause ? { cause } : undefined);
    this.#end = error;
    this.#greeting.reject(error);
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
    for (const queue of [...this.#queues]) queue.fail(error);
    this.#stream.destroy();
    this.#resolveEnded(error);
  }
}

/** Waits, but no longer than it is worth. */
async function limited<T>(
  command: string,
  promise: Promise<T>,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<T> {
  const { promise: limit, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new QmpAbandoned(command, 'timeout', `no answer within ${timeoutMs} ms`)),
    timeoutMs,
  );
  const abort = () => reject(new QmpAbandoned(command, 'aborted', 'given up', { cause: signal?.reason }));
  signal?.addEventListener('abort', abort, { once: true });
  if (signal?.aborted) abort();
  promise.catch(() => {}); // after the limit nobody listens to it
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}
