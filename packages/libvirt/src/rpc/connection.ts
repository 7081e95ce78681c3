// One RPC connection: pipelined calls with deadlines, keepalive, streams, and a single end for all of them.

import { setTimeout as delay } from 'node:timers/promises';
import { type ClosedWhy, ConnectionClosed } from '../errors/connection.ts';
import { LibvirtError } from '../errors/libvirt-error.ts';
import type { Transport } from '../transport/transport.ts';
import { callSite, withCallSite } from './call-site.ts';
import { type CallOptions, DEFAULT_TIMEOUT_MS, Deadline } from './deadline.ts';
import { domainOf } from './domain-of.ts';
import { encodeFrame, type Frame, FrameDecoder, FrameError, MessageType } from './frame.ts';
import { JobLocks } from './job-locks.ts';
import { Keepalive, type KeepaliveOptions, KeepaliveProcedure } from './keepalive.ts';
import { PendingCall } from './pending.ts';
import { Places } from './places.ts';
import { type Procedure, Program } from './procedure.ts';
import { encodeCall, readReply } from './reply.ts';
import { RpcStream } from './stream.ts';

/** How long a lost connection waits for its transport's own words (ssh's stderr) before it is reported. */
const LAST_WORDS_MS = 1_000;
/** A peer that pings but does not read gets no more answers once this much is unread. */
const MAX_UNREAD_BYTES = 1_048_576;

export interface RpcOptions {
  /** Takes an event frame; throws XdrError for a malformed one, which ends the connection. */
  readonly onEvent?: (frame: Frame) => void;
  /** Keeps places for quick calls, see places.ts. Default true. */
  readonly reserve?: boolean;
  /** Shared by all connections to one daemon. */
  readonly jobLocks?: JobLocks;
}

export interface RpcCallOptions extends CallOptions {
  /** Rejects with StillInLine when the call stands in a line that has not moved for so long. */
  readonly leaveLineAfterMs?: number;
  /** A deadline that began earlier; stands in for `timeoutMs` and `signal`. */
  readonly deadline?: Deadline;
}

export class RpcConnection {
  /** Resolves once, when the connection is over, with the error that every pending call got. */
  readonly closed: Promise<ConnectionClosed>;
  readonly #transport: Transport;
  readonly #onEvent: (frame: Frame) => void;
  readonly #decoder = new FrameDecoder();
  readonly #places: Places;
  readonly #pending = new Map<number, PendingCall>();
  readonly #streams = new Map<number, RpcStream>();
  readonly #resolveClosed: (error: ConnectionClosed) => void;
  #keepalive: Keepalive | undefined;
  #lastSerial = 0;
  #ending = false;

  constructor(transport: Transport, options: RpcOptions = {}) {
    const { promise, resolve } = Promise.withResolvers<ConnectionClosed>();
    this.closed = promise;
    this.#resolveClosed = resolve;
    this.#transport = transport;
    this.#onEvent = options.onEvent ?? (() => {});
    this.#places = new Places(options.reserve ?? true, options.jobLocks ?? new JobLocks());
    transport.stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    transport.stream.on('error', () => this.#finish('lost', ''));
    transport.stream.on('end', () => this.#finish('lost', ''));
    transport.stream.on('close', () => this.#finish('lost', ''));
    if (transport.stream.destroyed) this.#finish('lost', '');
  }

  get description(): string {
    return this.#transport.description;
  }

  get isOver(): boolean {
    return this.#ending;
  }

  /** Calls in flight (given-up ones whose reply is still owed included) and in line. */
  get load(): number {
    return this.#places.load;
  }

  /** Calls in flight, given-up ones included. */
  get inFlight(): number {
    return this.#places.taken;
  }

  /**
   * Makes one call. Several may be under way; replies are matched to calls whatever their order.
   *
   * @throws LibvirtError for the daemon's refusal, CallTimeout, the signal's reason, ConnectionClosed, or XdrError
   * when an argument cannot be encoded (nothing is sent then).
   */
  call<A, R>(procedure: Procedure<A, R>, args: A, options: RpcCallOptions = {}): Promise<R> {
    return this.#begin(procedure, args, options, (result) => result);
  }

  /** Makes a call that opens a stream. Its bytes share this connection: give a stream one of its own. */
  openStream<A, R>(procedure: Procedure<A, R>, args: A, options: CallOptions = {}): Promise<RpcStream> {
    return this.#begin(procedure, args, options, (_result, serial) => {
      // Made while the reply is being read: the first data may be in the same chunk of bytes.
      const { program, number, name } = procedure;
      const header = { program, version: 1, procedure: number, type: MessageType.STREAM, serial };
      const stream = new RpcStream(this.#transport.stream, header, name, () => this.#streams.delete(serial));
      this.#streams.set(serial, stream);
      return stream;
    });
  }

  /** Starts to send pings after silence. Pings of the far side are answered in any case. */
  startKeepalive(options: KeepaliveOptions): void {
    if (this.#ending) return;
    this.#keepalive?.stop();
    this.#keepalive = new Keepalive(
      options,
      () => this.#sendKeepalive(KeepaliveProcedure.PING),
      (detail) => this.#finish('keepalive', detail),
    );
  }

  /** Ends the connection at once. Pending calls fail with ConnectionClosed, `why: 'closed'`. */
  end(): void {
    this.#finish('closed', '');
  }

  /** Ends it because what it leads to is gone, though the far side itself is there. */
  lose(detail: string): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#over(new ConnectionClosed('lost', this.description, detail));
  }

  /** Ends it with the error of another connection, of which this one is a part. */
  endWith(error: ConnectionClosed): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#over(error);
  }

  #begin<A, R, T>(
    procedure: Procedure<A, R>,
    args: A,
    options: RpcCallOptions,
    onReply: (result: R, serial: number) => T,
  ): Promise<T> {
    if (this.#ending) return this.closed.then((error) => Promise.reject(error));
    const made = callSite(this.#begin);
    return new Promise((resolve, reject) => {
      const fail = (error: unknown) => reject(withCallSite(error, made));
      const serial = this.#nextSerial();
      const bytes = encodeCall(procedure, args, serial);
      const call = new PendingCall({
        name: procedure.name,
        pace: procedure.pace,
        deadline:
          options.deadline ?? new Deadline(options, procedure.hasDeadline ? DEFAULT_TIMEOUT_MS : null),
        leaveLineAfterMs: options.leaveLineAfterMs,
        locks: procedure.takesJob ? domainOf(args) : undefined,
        places: this.#places,
        send: () => void this.#transport.stream.write(bytes),
        deliver: (frame) => {
          const reply = readReply(procedure, frame);
          if (reply instanceof LibvirtError) fail(reply);
          else resolve(onReply(reply.result, serial));
        },
        reject: fail,
        abandoned: (abandoned, sent) => {
          if (sent) return;
          this.#places.leave(abandoned);
          this.#pending.delete(serial);
        },
      });
      if (!call.watch()) return;
      this.#pending.set(serial, call);
      this.#places.enter(call);
    });
  }

  #nextSerial(): number {
    do {
      this.#lastSerial = (this.#lastSerial + 1) >>> 0;
    } while (this.#pending.has(this.#lastSerial) || this.#streams.has(this.#lastSerial));
    return this.#lastSerial;
  }

  #receive(chunk: Buffer): void {
    try {
      for (const frame of this.#decoder.push(chunk)) {
        if (this.#ending) return;
        this.#keepalive?.heard();
        this.#dispatch(frame);
      }
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      this.#finish('protocol', detail, error);
    }
  }

  #dispatch(frame: Frame): void {
    if (frame.version !== 1) throw new FrameError(`version ${frame.version} of program ${frame.program}`);
    if (frame.program === Program.KEEPALIVE) {
      this.#keepaliveFrame(frame);
      return;
    }
    if (frame.program !== Program.REMOTE && frame.program !== Program.QEMU) {
      throw new FrameError(`a message of the unknown program 0x${frame.program.toString(16)}`);
    }
    switch (frame.type) {
      case MessageType.REPLY:
        this.#reply(frame);
        break;
      case MessageType.EVENT:
        this.#onEvent(frame);
        break;
      case MessageType.STREAM:
      case MessageType.STREAM_HOLE:
        // Frames of a stream that we aborted may still be on their way.
        this.#streams.get(frame.serial)?.receive(frame);
        break;
      default:
        throw new FrameError(`a message of type ${frame.type}, which a server does not send`);
    }
  }

  #reply(frame: Frame): void {
    const call = this.#pending.get(frame.serial);
    if (call === undefined) throw new FrameError(`a reply to serial ${frame.serial}, which nobody asked`);
    // A malformed reply throws before the call is forgotten: it ends with the connection, like every other.
    call.reply(frame);
    this.#pending.delete(frame.serial);
    this.#places.release(call);
  }

  #keepaliveFrame(frame: Frame): void {
    if (frame.procedure === KeepaliveProcedure.PING) this.#sendKeepalive(KeepaliveProcedure.PONG);
    else if (frame.procedure !== KeepaliveProcedure.PONG) {
      throw new FrameError(`an unknown keepalive message: ${frame.procedure}`);
    }
  }

  #sendKeepalive(procedure: number): void {
    const { stream } = this.#transport;
    if (stream.writableLength > MAX_UNREAD_BYTES) return;
    const header = { program: Program.KEEPALIVE, version: 1, procedure, serial: 0, status: 0 };
    stream.write(encodeFrame({ ...header, type: MessageType.EVENT }));
  }

  #finish(why: ClosedWhy, detail: string, cause?: unknown): void {
    if (this.#ending) return;
    this.#ending = true;
    const closed = (words: string, reason: unknown) =>
      this.#over(new ConnectionClosed(why, this.description, words, reason ? { cause: reason } : undefined));
    if (why === 'lost') {
      const words = Promise.race([this.#transport.ended, delay(LAST_WORDS_MS, undefined, { ref: false })]);
      void words.then((end) => closed(end?.detail ?? '', end?.error));
    } else {
      closed(detail, cause);
    }
  }

  #over(error: ConnectionClosed): void {
    this.#keepalive?.stop();
    this.#transport.close();
    this.#places.abandon([...this.#pending.values()].filter((call) => call.isInFlight));
    for (const call of this.#pending.values()) call.fail(error);
    this.#pending.clear();
    for (const stream of this.#streams.values()) stream.fail(error);
    this.#streams.clear();
    this.#resolveClosed(error);
  }
}
