// Reads XDR (RFC 4506) from bytes that may be hostile: every length is checked before anything is allocated.

import { XdrError } from './error.ts';
import { padded } from './writer.ts';

function refuse(what: string): never {
  throw new XdrError('decode', what);
}

export class XdrReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  /** @throws XdrError when bytes are left over: the message is not what the schema says. */
  end(): void {
    if (this.remaining !== 0) refuse(`${this.remaining} bytes left over after the message`);
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#take(4));
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }

  int64(): bigint {
    return this.#bytes.readBigInt64BE(this.#take(8));
  }

  uint64(): bigint {
    return this.#bytes.readBigUInt64BE(this.#take(8));
  }

  float64(): number {
    return this.#bytes.readDoubleBE(this.#take(8));
  }

  /** A length that may not exceed `max`, nor promise more than the rest of the message can hold. */
  count(max: number, bytesEach: number): number {
    const count = this.uint32();
    if (count > max) refuse(`${count} items announced, at most ${max} are allowed`);
    if (count * bytesEach > this.remaining) {
      refuse(`${count} items announced, but only ${this.remaining} bytes follow`);
    }
    return count;
  }

  string(maxBytes: number): string {
    const size = this.count(maxBytes, 1);
    const at = this.#take(padded(size));
    return this.#bytes.toString('utf8', at, at + size);
  }

  /** A copy, so that a small value does not keep a large frame alive. */
  fixedOpaque(size: number): Buffer {
    const at = this.#take(padded(size));
    return Buffer.from(this.#bytes.subarray(at, at + size));
  }

  #take(bytes: number): number {
    if (bytes > this.remaining) refuse(`${bytes} bytes expected, only ${this.remaining} left`);
    const at = this.#at;
    this.#at += bytes;
    return at;
  }
}
