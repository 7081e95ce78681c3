// Where a command reads and writes: the process's own streams, or a test's.
import type { Readable, Writable } from 'node:stream';

export interface Io {
  /** The command's answer. That it cannot be written is no error; but for a pipe whose reader is gone, it is said. */
  readonly out: (text: string) => void;
  /**
   * Bytes of an answer that is no text, written when it resolves; false when nobody reads them any more.
   *
   * @throws OutputLost when they cannot be written
   */
  readonly outBytes: (bytes: Uint8Array) => Promise<boolean>;
  /** Progress, warnings, questions. */
  readonly err: (text: string) => void;
  /** Progress may be redrawn on one line. */
  readonly errIsTerminal: boolean;
  /** Somebody is there to answer. */
  readonly canAsk: boolean;
  /** Width of the terminal in characters. */
  readonly columns: () => number;
  /** Resolves with a line typed by the operator; undefined at the end of the input. */
  readonly ask: (question: string) => Promise<string | undefined>;
}

/** Of an answer that is no text, what is written ends before its end. */
export class OutputLost extends Error {
  override readonly name = 'OutputLost';
  readonly errno: string;

  constructor(cause: NodeJS.ErrnoException) {
    super(`not all of it could be written: ${cause.message}`, { cause });
    this.errno = cause.code ?? 'other';
  }
}

interface TerminalStream extends Writable {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** The streams of this process. */
export function processIo(): Io {
  return {
    out: writer(process.stdout),
    outBytes: byteWriter(process.stdout),
    err: writer(process.stderr),
    errIsTerminal: process.stderr.isTTY === true && process.env.TERM !== 'dumb',
    canAsk: process.stdin.isTTY === true && process.stderr.isTTY === true,
    columns: () => columnsOf(process.stderr),
    ask: (question) => ask(process.stdin, process.stderr, question),
  };
}

/**
 * Waits until this process's streams have passed on all that was written to them: a pipe takes 64 KiB at once, whatever its
 * reader does, and an exit drops the rest (seen with Node 24).
 */
export async function allWritten(): Promise<void> {
  await Promise.all([process.stdout, process.stderr].map(passedOn));
}

/** Also when nobody reads it any more. */
function passedOn(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || !stream.writable || stream.writableLength === 0) resolve();
    else stream.write('', () => resolve());
  });
}

const watched = new WeakSet<Writable>();

/**
 * A reader that went away (`| head`) takes what it wants, and a file that it is written to may be on the very storage that is
 * full: a move under way goes on all the same.
 */
function writer(stream: Writable): (text: string) => void {
  watch(stream);
  return (text) => {
    if (!stream.destroyed && stream.writable) stream.write(text);
  };
}

function byteWriter(stream: Writable): (bytes: Uint8Array) => Promise<boolean> {
  watch(stream);
  return (bytes) =>
    new Promise((resolve, reject) => {
      if (stream.destroyed || !stream.writable) resolve(false);
      else {
        stream.write(bytes, (error) => {
          if (error === undefined || error === null) resolve(true);
          else if (isReaderGone(error)) resolve(false);
          else reject(new OutputLost(error));
        });
      }
    });
}

function watch(stream: Writable): void {
  if (watched.has(stream)) return;
  watched.add(stream);
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (isReaderGone(error) || stream === process.stderr) return;
    process.stderr.write(`what this command says cannot be written: ${error.message}\n`);
  });
}

function isReaderGone(error: NodeJS.ErrnoException): boolean {
  return error.code === 'EPIPE';
}

function columnsOf(stream: TerminalStream): number {
  return stream.columns || 80;
}

async function ask(input: Readable, output: Writable, question: string): Promise<string | undefined> {
  const { createInterface } = await import('node:readline');
  const lines = createInterface({ input, output });
  try {
    return await new Promise<string | undefined>((resolve) => {
      lines.once('close', () => resolve(undefined));
      lines.question(question, resolve);
    });
  } finally {
    lines.close();
  }
}
