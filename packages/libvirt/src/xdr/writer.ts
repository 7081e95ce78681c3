// Writes XDR (RFC 4506): big-endian, every item padded to four bytes.

import { XdrError } from './error.ts';

const MAX_UINT64 = 0xffff_ffff_ffff_ffffn;
const MIN_INT64 = -0x8000_0000_0000_0000n;
const MAX_INT64 = 0x7fff_ffff_ffff_ffffn;

function refuse(what: string): never {
  throw new XdrError('encode', what);
}

/** Grows as needed; `limit` bounds it, so that no caller can build a message no peer accepts. */
export class XdrWriter {
  #buffer: Buffer;
  #length = 0;
  readonly #limit: number;

  constructor(limit: number = Number.MAX_SAFE_INTEGER, initialBytes = 256) {
    this.#buffer = Buffer.allocUnsafe(initialBytes);
    this.#limit = limit;
  }

  get length(): number {
    return this.#length;
  }

  /** The bytes so far. Shares memory with the writer: write nothing more afterwards. */
  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  int32(value: number): void {
    if (!Number.isInteger(value) || value < -0x8000_0000 || value > 0x7fff_ffff) {
      refuse(`not a 32-bit integer: ${value}`);
    }
    // Reserve first: it may replace the buffer.
    const at = this.#reserve(4);
    this.#buffer.writeInt32BE(value, at);
  }

  uint32(value: number): void {
    if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
      refuse(`not an unsigned 32-bit integer: ${value}`);
    }
    // Reserve first: it may replace the buffer.
    const at = this.#reserve(4);
    this.#buffer.writeUInt32BE(value, at);
  }

  int64(value: bigint): void {
    if (value < MIN_INT64 || value > MAX_INT64) refuse(`not a 64-bit integer: ${value}`);
    // Reserve first: it may replace the buffer.
    const at = this.#reserve(8);
    this.#buffer.writeBigInt64BE(value, at);
  }

  uint64(value: bigint): void {
    if (value < 0n || value > MAX_UINT64) refuse(`not an unsigned 64-bit integer: ${value}`);
    // Reserve first: it may replace the buffer.
    const at = this.#reserve(8);
    this.#buffer.writeBigUInt64BE(value, at);
  }

  float64(value: number): void {
    // Reserve first: it may replace the buffer.
    const at = this.#reserve(8);
    this.#buffer.writeDoubleBE(value, at);
  }

  /** Length, UTF-8 bytes, padding. A NUL is refused: the C side would silently cut the string there. */
  string(value: string, maxBytes: number): void {
    if (value.includes('\0')) refuse('a string with a NUL character cannot be sent');
    const size = Buffer.byteLength(value, 'utf8');
    if (size > maxBytes) refuse(`a string of ${size} bytes, at most ${maxBytes} can be sent`);
    this.uint32(size);
    const at = this.#reserve(padded(size));
    this.#buffer.write(value, at, size, 'utf8');
    this.#buffer.fill(0, at + size, at + padded(size));
  }

  /** Raw bytes and padding, without a length. */
  fixedOpaque(value: Uint8Array): void {
    const size = value.byteLength;
    const at = this.#reserve(padded(size));
    this.#buffer.set(value, at);
    this.#buffer.fill(0, at + size, at + padded(size));
  }

  #reserve(bytes: number): number {
    const at = this.#length;
    const needed = at + bytes;
    if (needed > this.#limit) refuse(`a message of more than ${this.#limit} bytes cannot be sent`);
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, at);
      this.#buffer = grown;
    }
    this.#length = needed;
    return at;
  }
}

export function padded(size: number): number {
  return (size + 3) & ~3;
}
