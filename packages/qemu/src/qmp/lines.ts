// Bytes to lines, of bounded length, however they were cut on the way.
import { QmpConnectionError } from './errors.ts';

const NEWLINE = 0x0a;

export class LineSplitter {
  readonly #maxBytes: number;
  #pending: Buffer[] = [];
  #pendingBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The lines that this chunk completes. Throws QmpConnectionError 'oversized' or 'malformed' (not UTF-8). */
  *push(chunk: Buffer): Generator<string> {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.#keep(chunk.subarray(start, end));
      start = end + 1;
      yield this.#take();
    }
    this.#keep(chunk.subarray(start));
  }

  #keep(piece: Buffer): void {
    this.#pendingBytes += piece.length;
    if (this.#pendingBytes > this.#maxBytes) {
      throw new QmpConnectionError('oversized', `a line of more than ${this.#maxBytes} bytes`);
    }
    if (piece.length > 0) this.#pending.push(piece);
  }

  #take(): string {
    const line = Buffer.concat(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(line);
    } catch (error) {
      throw new QmpConnectionError('malformed', 'a line that is not UTF-8', { cause: error });
    }
  }
}
