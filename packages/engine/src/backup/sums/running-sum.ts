// The SHA-256 of a copy of an image, reckoned while it is copied, from the image or from what memory keeps of it: a program
// on its host sums what it is told to, piece by piece.
import { type Host, type HostProcess, yielding } from '@blockferry/qemu';
import type { Bytes } from '../../model/units.ts';
import { SUM_AS_TOLD, SUM_PROGRAM } from './sum-program.ts';

export interface Sum {
  readonly sha256: string;
  readonly size: Bytes;
}

/** The copy's first bytes, as they will be. */
export interface Head {
  readonly bytes: Bytes;
  readonly sha256: string;
}

export interface SumRequest {
  /** Path of the image, which nobody writes to. */
  readonly image: string;
  readonly total: Bytes;
  /** That is written into the copy's header; undefined: the copy is not changed. */
  readonly backing: { readonly reference: string; readonly format: string } | undefined;
  /** Nobody uses it: what the page cache has of it does not count. */
  readonly isAtRest?: boolean;
}

/** A piece of the image, in bytes. */
export interface Piece {
  readonly offset: Bytes;
  readonly length: Bytes;
  /** A file that holds it at this offset, and nothing else for as long as it is not summed; undefined: the image. */
  readonly kept?: { readonly path: string; readonly offset: Bytes } | undefined;
}

interface Waiting {
  readonly upTo: Bytes;
  settle(isSummed: boolean): void;
}

/**
 * One image's. It begins at once, and may fail at any time: then it has no result, and what it is of must be read. Holes
 * of the image are zeroes in its copy, so both have one sum.
 */
export class RunningSum {
  readonly #total: Bytes;
  readonly #program: Promise<HostProcess>;
  readonly #result: Promise<(Sum & { readonly head: Head }) | undefined>;
  /** Nothing is ordered before it is there; if the program ends first, it never is. */
  readonly #head = Promise.withResolvers<Head>();
  #waiting: Waiting[] = [];
  #said = '';
  #ddSaid: string | undefined;
  #sha256: string | undefined;
  #ordered: Bytes = 0n;
  #read: Bytes = 0n;
  #isOver = false;

  /** @param signal ends it */
  constructor(host: Host, { image, total, backing, isAtRest }: SumRequest, signal: AbortSignal) {
    this.#total = total;
    const { reference = '', format = '' } = backing ?? {};
    const about = [image, String(total), reference, format, SUM_PROGRAM, isAtRest ? 'at rest' : ''];
    this.#program = host.spawn(yielding(['/bin/sh', '-c', SUM_AS_TOLD, 'sh', ...about]));
    const stop = () => this.stop();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    this.#result = this.#follow()
      .catch(() => undefined)
      .finally(() => {
        signal.removeEventListener('abort', stop);
        this.#isOver = true;
        this.#settle();
      });
  }

  /**
   * Sums the image up to the end of this piece. What is before it and was not summed yet is read from the image.
   *
   * @returns when that is done; false when it has failed
   */
  async add({ offset, length, kept }: Piece): Promise<boolean> {
    const from = this.#ordered;
    let end = offset + length;
    if (end > this.#total) end = this.#total;
    if (offset > from) this.#order({ offset: from, length: offset - from, kept: undefined });
    const start = offset > from ? offset : from;
    if (end > start) {
      const at = kept && { path: kept.path, offset: kept.offset + start - offset };
      this.#order({ offset: start, length: end - start, kept: at });
    }
    if (this.#isOver || this.#read >= end) return this.#read >= end;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#waiting.push({ upTo: end, settle: resolve });
    return promise;
  }

  /** Sums the rest. Undefined: it could not be done. */
  async result(): Promise<(Sum & { readonly head: Head }) | undefined> {
    void this.add({ offset: this.#total, length: 0n });
    void this.#head.promise.then(() => this.#write('end\n'));
    return this.#result;
  }

  /** What its program said when it could not be done; nothing, if it did not say. @throws HostError when it could not run */
  async complaint(): Promise<string> {
    return this.#ddSaid ?? (await this.#program).stderr().trim();
  }

  /** Bytes summed so far. */
  get read(): Bytes {
    return this.#read;
  }

  /** By the end of its input, so that it can clean up. */
  stop(): void {
    void this.#program.then(({ stdin }) => stdin.destroy()).catch(() => {});
  }

  #order(piece: Required<Piece>): void {
    this.#ordered = piece.offset + piece.length;
    void this.#head.promise.then(({ bytes }) => this.#tell(piece, bytes));
  }

  /** The head is summed already. */
  #tell({ offset, length, kept }: Required<Piece>, head: Bytes): void {
    const done = offset < head ? head - offset : 0n;
    if (done >= length) return;
    const [skip, path] = kept ? [kept.offset, kept.path] : [offset, ''];
    this.#write(`${skip + done} ${length - done} ${path}\n`);
  }

  #write(line: string): void {
    void this.#program.then(({ stdin }) => stdin.write(line)).catch(() => {});
  }

  async #follow(): Promise<(Sum & { readonly head: Head }) | undefined> {
    const program = await this.#program;
    program.stdout.setEncoding('utf8');
    program.stdout.on('data', (text: string) => this.#hear(text));
    const { code } = await program.exited;
    const sha256 = this.#sha256;
    // A pipe does not tell that its first part failed: a part of it has a sum as well.
    if (code !== 0 || this.#read !== this.#total || sha256 === undefined) return;
    return { sha256, size: this.#total, head: await this.#head.promise };
  }

  /** Line by line; the last of all is the sum. */
  #hear(text: string): void {
    const lines = `${this.#said}${text}`.split('\n');
    this.#said = lines.pop() ?? '';
    for (const line of lines) {
      const [, bytes] = /^(\d+) bytes?/.exec(line) ?? [];
      if (bytes !== undefined) this.#read += BigInt(bytes);
      const [, length, sha256] = /^head (\d+) ([0-9a-f]{64}) /.exec(line) ?? [];
      if (length !== undefined && sha256 !== undefined) {
        this.#head.resolve({ bytes: BigInt(length), sha256 });
        this.#read += BigInt(length);
      }
      this.#ddSaid ??= /^dd: (.*)/.exec(line)?.[1];
      this.#sha256 = /^([0-9a-f]{64}) /.exec(line)?.[1];
    }
    this.#settle();
  }

  #settle(): void {
    const isReady = ({ upTo }: Waiting) => this.#isOver || this.#read >= upTo;
    const ready = this.#waiting.filter(isReady);
    this.#waiting = this.#waiting.filter((each) => !isReady(each));
    for (const { upTo, settle } of ready) settle(this.#read >= upTo);
  }
}
