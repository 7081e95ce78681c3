// libvirt RPC frames: a length, a header of six words, a payload (src/rpc/virnetprotocol.x).

import { XdrWriter } from '../xdr/writer.ts';

export const HEADER_BYTES = 24;
const LENGTH_BYTES = 4;
/** VIR_NET_MESSAGE_MAX of 32 MiB counts header and payload; the length word counts itself too. */
export const MAX_FRAME_BYTES = 33_554_432 + LENGTH_BYTES;
const MIN_FRAME_BYTES = LENGTH_BYTES + HEADER_BYTES;
/** Of text that somebody else wrote into the stream, such as the start-up file of a shell. */
const SHOWN_BYTES = 120;

export const MessageType = { CALL: 0, REPLY: 1, EVENT: 2, STREAM: 3, STREAM_HOLE: 6 } as const;
export const MessageStatus = { OK: 0, ERROR: 1, CONTINUE: 2 } as const;

export interface FrameHeader {
  readonly program: number;
  readonly version: number;
  readonly procedure: number;
  readonly type: number;
  readonly serial: number;
  readonly status: number;
}

export interface Frame extends FrameHeader {
  readonly payload: Buffer;
}

/** The byte stream is not libvirt RPC; no frame boundary can be trusted any more. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

/**
 * Builds one frame.
 *
 * @throws XdrError when a value cannot be encoded or the frame would be longer than any peer accepts.
 */
export function encodeFrame(header: FrameHeader, writePayload?: (writer: XdrWriter) => void): Buffer {
  const writer = new XdrWriter(MAX_FRAME_BYTES);
  writer.uint32(0);
  writer.uint32(header.program);
  writer.uint32(header.version);
  writer.int32(header.procedure);
  writer.int32(header.type);
  writer.uint32(header.serial);
  writer.int32(header.status);
  writePayload?.(writer);
  const frame = writer.bytes();
  frame.writeUInt32BE(frame.length, 0);
  return frame;
}

/**
 * Cuts a byte stream into frames. Holds at most one unfinished frame, and of it only the bytes that arrived: a
 * length word alone makes it allocate nothing.
 */
export class FrameDecoder {
  #pending: Buffer = Buffer.alloc(0);
  #used = 0;

  /** Bytes held of a frame that is not complete yet. */
  get buffered(): number {
    return this.#used;
  }

  /**
   * Yields the frames that `chunk` completes.
   *
   * @throws FrameError when a length is impossible. The decoder is of no use afterwards.
   */
  *push(chunk: Buffer): Generator<Frame> {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#used === 0) {
        const length = frameLength(rest, rest.length);
        if (length !== undefined && rest.length >= length) {
          yield parse(rest.subarray(0, length));
          rest = rest.subarray(length);
          continue;
        }
      }
      rest = this.#gather(rest);
      const length = frameLength(this.#pending, this.#used);
      if (length !== undefined && this.#used === length) {
        const whole = this.#pending.subarray(0, length);
        this.#pending = Buffer.alloc(0);
        this.#used = 0;
        yield parse(whole);
      }
    }
  }

  /** Takes from `rest` what the unfinished frame still lacks, first its length word; returns the remainder. */
  #gather(rest: Buffer): Buffer {
    const length = frameLength(this.#pending, this.#used);
    const missing = (length ?? LENGTH_BYTES) - this.#used;
    const taken = rest.subarray(0, missing);
    const needed = this.#used + taken.length;
    if (needed > this.#pending.length) {
      const roomy = Math.max(needed, this.#pending.length * 2);
      const grown = Buffer.allocUnsafe(Math.min(roomy, length ?? MIN_FRAME_BYTES));
      this.#pending.copy(grown, 0, 0, this.#used);
      this.#pending = grown;
    }
    taken.copy(this.#pending, this.#used);
    this.#used = needed;
    return rest.subarray(taken.length);
  }
}

function frameLength(bytes: Buffer, available: number): number | undefined {
  if (available < LENGTH_BYTES) return undefined;
  const length = bytes.readUInt32BE(0);
  if (length < MIN_FRAME_BYTES || length > MAX_FRAME_BYTES) {
    const text = /^[\t\n\r -~]{4,}/.exec(bytes.toString('latin1', 0, Math.min(available, SHOWN_BYTES)))?.[0];
    throw new FrameError(
      text === undefined
        ? `a frame of ${length} bytes was announced; ${MIN_FRAME_BYTES} to ${MAX_FRAME_BYTES} are possible`
        : `text where a message would begin: ${JSON.stringify(text.trim())}`,
    );
  }
  return length;
}

function parse(frame: Buffer): Frame {
  return {
    program: frame.readUInt32BE(4),
    version: frame.readUInt32BE(8),
    procedure: frame.readInt32BE(12),
    type: frame.readInt32BE(16),
    serial: frame.readUInt32BE(20),
    status: frame.readInt32BE(24),
    payload: frame.subarray(MIN_FRAME_BYTES),
  };
}
