// A far side whose every byte is under the test's control.

import { type Duplex, duplexPair } from 'node:stream';
import { encodeFrame, type Frame, FrameDecoder, MessageStatus, MessageType } from '../src/rpc/frame.ts';
import { KeepaliveProcedure } from '../src/rpc/keepalive.ts';
import { type Procedure, Program } from '../src/rpc/procedure.ts';
import { wireError } from '../src/rpc/wire-error.ts';
import type { Transport, TransportEnd } from '../src/transport/transport.ts';
import { XdrReader } from '../src/xdr/reader.ts';
import type { Schema } from '../src/xdr/schema.ts';

type Responder = (call: Frame, daemon: FakeDaemon) => void;

/** Answers what it was told to answer, and keeps silent about all else. */
export class FakeDaemon {
  readonly transport: Transport;
  /** Every frame that came, in order. */
  readonly received: Frame[] = [];
  readonly #socket: Duplex;
  readonly #responders = new Map<string, Responder>();
  readonly #waiters: { wanted: (frame: Frame) => boolean; resolve: (frame: Frame) => void }[] = [];

  /** `lastWords` is what the transport says of its end, as ssh's stderr would. */
  constructor(options: { readonly lastWords?: string } = {}) {
    const [ours, theirs] = duplexPair();
    this.#socket = theirs;
    const ended = new Promise<TransportEnd>((resolve) => {
      ours.once('close', () => resolve({ detail: options.lastWords ?? '' }));
      ours.once('end', () => resolve({ detail: options.lastWords ?? '' }));
    });
    this.transport = { stream: ours, description: 'fake daemon', ended, close: () => void ours.destroy() };
    const decoder = new FrameDecoder();
    theirs.on('error', () => {});
    theirs.on('data', (chunk: Buffer) => {
      for (const frame of decoder.push(chunk)) this.#take(frame);
    });
  }

  /** From now on answers `procedure` so. */
  on<A, R>(procedure: Procedure<A, R>, respond: (args: A, call: Frame, daemon: FakeDaemon) => void): this {
    this.#responders.set(`${procedure.program}:${procedure.number}`, (call) =>
      respond(procedure.args.read(new XdrReader(call.payload)), call, this),
    );
    return this;
  }

  answer<A, R>(procedure: Procedure<A, R>, result: R): this {
    return this.on(procedure, (_args, call) => this.reply(call, procedure, result));
  }

  reply<A, R>(call: Frame, procedure: Procedure<A, R>, result: R): void {
    const header = { ...call, type: MessageType.REPLY, status: MessageStatus.OK };
    this.send(encodeFrame(header, (writer) => procedure.result.write(writer, result)));
  }

  replyError(call: Frame, code: number, message: string): void {
    const nothing = { dom: null, str1: null, str2: null, str3: null, int1: -1, int2: -1, net: null };
    const header = { ...call, type: MessageType.REPLY, status: MessageStatus.ERROR };
    const error = { code, domain: 10, message, level: 2, ...nothing };
    this.send(encodeFrame(header, (writer) => wireError.write(writer, error)));
  }

  event<B>(procedure: number, schema: Schema<B>, body: B, program: number = Program.REMOTE): void {
    const header = { program, version: 1, procedure, type: MessageType.EVENT, serial: 1, status: 0 };
    this.send(encodeFrame(header, (writer) => schema.write(writer, body)));
  }

  streamFrame(call: Frame, status: number, bytes: Uint8Array = new Uint8Array(0)): void {
    const frame = encodeFrame({ ...call, type: MessageType.STREAM, status });
    frame.writeUInt32BE(frame.length + bytes.length, 0);
    this.send(Buffer.concat([frame, bytes]));
  }

  keepalive(procedure: number = KeepaliveProcedure.PING): void {
    const header = { program: Program.KEEPALIVE, version: 1, procedure, serial: 0, status: 0 };
    this.send(encodeFrame({ ...header, type: MessageType.EVENT }));
  }

  send(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** Reads nothing more. */
  deaf(): void {
    this.#socket.removeAllListeners('data');
    this.#socket.pause();
  }

  hangUp(): void {
    this.#socket.end();
  }

  /** The next frame that fits, or one that already came and was not waited for. */
  frame(wanted: (frame: Frame) => boolean): Promise<Frame> {
    const known = this.received.find(wanted);
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve) => {
      this.#waiters.push({ wanted, resolve });
    });
  }

  called<A, R>(procedure: Procedure<A, R>): Promise<Frame> {
    return this.frame((f) => f.type === MessageType.CALL && isCallOf(f, procedure));
  }

  callsOf<A, R>(procedure: Procedure<A, R>): readonly Frame[] {
    return this.received.filter((f) => f.type === MessageType.CALL && isCallOf(f, procedure));
  }

  #take(frame: Frame): void {
    this.received.push(frame);
    for (const waiter of this.#waiters.filter(({ wanted }) => wanted(frame))) {
      this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
      waiter.resolve(frame);
    }
    if (frame.type === MessageType.CALL) {
      this.#responders.get(`${frame.program}:${frame.procedure}`)?.(frame, this);
    }
  }
}

function isCallOf<A, R>(frame: Frame, procedure: Procedure<A, R>): boolean {
  return frame.program === procedure.program && frame.procedure === procedure.number;
}
