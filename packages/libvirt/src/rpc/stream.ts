// A stream of raw bytes that a call opened: volume upload and download.

import type { Duplex } from 'node:stream';
import { LibvirtError } from '../errors/libvirt-error.ts';
import { XdrReader } from '../xdr/reader.ts';
import {
  encodeFrame,
  type Frame,
  FrameError,
  type FrameHeader,
  MessageStatus,
  MessageType,
} from './frame.ts';
import { wireError } from './wire-error.ts';

/** VIR_NET_MESSAGE_LEGACY_PAYLOAD_MAX: the most that any server takes in one stream frame. */
export const MAX_STREAM_CHUNK_BYTES = 262_120;
/** Received and not yet consumed; above it the socket is left unread, so that the server waits. */
const HIGH_WATER_BYTES = 1_048_576;

export class RpcStream {
  readonly #socket: Duplex;
  readonly #header: Omit<FrameHeader, 'status'>;
  readonly #name: string;
  readonly #forget: () => void;
  readonly #chunks: Buffer[] = [];
  readonly #over = Promise.withResolvers<void>();
  #buffered = 0;
  #received: 'data' | 'end of data' = 'data';
  #wake: (() => void) | undefined;
  #failure: { error: unknown } | undefined;

  constructor(socket: Duplex, header: Omit<FrameHeader, 'status'>, name: string, forget: () => void) {
    this.#socket = socket;
    this.#header = header;
    this.#name = name;
    this.#forget = forget;
    // Whoever reads or writes learns of a failure there; `finish` may never be called.
    this.#over.promise.catch(() => {});
  }

  /** Takes a frame of this stream from the connection. @throws FrameError, XdrError for a malformed one. */
  receive(frame: Frame): void {
    if (frame.type === MessageType.STREAM_HOLE)
      throw new FrameError('a hole in a stream not opened as sparse');
    if (frame.status === MessageStatus.CONTINUE) this.#receiveData(frame.payload);
    else if (frame.status === MessageStatus.OK) this.#finished();
    else if (frame.status === MessageStatus.ERROR) {
      const reader = new XdrReader(frame.payload);
      this.fail(new LibvirtError(this.#name, wireError.read(reader)));
    } else throw new FrameError(`a stream message with status ${frame.status}`);
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#over.reject(error);
    this.#forget();
    this.#wake?.();
  }

  /** Sends bytes, in as many frames as needed; resolves when the socket can take more. */
  async write(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length; at += MAX_STREAM_CHUNK_BYTES) {
      if (this.#failure !== undefined) throw this.#failure.error;
      const piece = data.subarray(at, at + MAX_STREAM_CHUNK_BYTES);
      if (!this.#send(MessageStatus.CONTINUE, piece)) await this.#drained();
    }
  }

  /** Tells the server that all is sent (or received) and waits for its word that it has it. */
  async finish(): Promise<void> {
    if (this.#failure === undefined) this.#send(MessageStatus.OK);
    await this.#over.promise;
  }

  /** Gives the stream up. What the server still sends of it is dropped. */
  abort(reason: unknown): void {
    if (this.#failure !== undefined) return;
    this.#send(MessageStatus.ERROR);
    this.fail(reason);
  }

  /** The received bytes. Leaving the loop early does not abort the stream. */
  async *read(): AsyncGenerator<Buffer, void, void> {
    while (true) {
      const chunk = this.#chunks.shift();
      if (chunk !== undefined) {
        this.#buffered -= chunk.length;
        if (this.#buffered <= HIGH_WATER_BYTES) this.#socket.resume();
        yield chunk;
      } else if (this.#failure !== undefined) throw this.#failure.error;
      else if (this.#received === 'end of data') return;
      else {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wake = resolve;
        await promise;
      }
    }
  }

  #receiveData(payload: Buffer): void {
    // An empty frame says that all data has been sent; both sides still confirm with status OK.
    if (payload.length === 0) this.#received = 'end of data';
    else {
      this.#chunks.push(payload);
      this.#buffered += payload.length;
      if (this.#buffered > HIGH_WATER_BYTES) this.#socket.pause();
    }
    this.#wake?.();
  }

  #finished(): void {
    this.#received = 'end of data';
    this.#forget();
    this.#over.resolve();
    this.#wake?.();
  }

  #send(status: number, bytes?: Uint8Array): boolean {
    const padding = bytes?.length ?? 0;
    const frame = encodeFrame({ ...this.#header, status });
    frame.writeUInt32BE(frame.length + padding, 0);
    const more = this.#socket.write(frame);
    return bytes === undefined ? more : this.#socket.write(bytes);
  }

  async #drained(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#socket.once('drain', resolve);
    await Promise.race([promise, this.#over.promise]);
    this.#socket.off('drain', resolve);
  }
}
