// Where a command reads and writes: the process's own streams, or a test's.
import type { Readable, Writable } from 'node:stream';

export interface Io {
  /** The command's answer. Writing to a pipe whose reader is gone is no error. */
  readonly out: (text: string) => void;
  /** Bytes of an answer that is no text, written when it resolves; false when nobody reads them any more. */
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

const watched = new WeakSet<Writable>();

/** A reader that went away (`| head`) takes what it wants; a move under way goes on all the same. */
function writer(stream: Writable): (text: string) => void {
  watch(stream);
  return (text) => {
    if (!stream.destroyed && stream.writable) stream.write(text);
  };
}

function byteWriter(stream: Writable): (bytes: Uint8Array) => Promise<boolean> {
  watch(stream);
  return (bytes) =>
    new Promise((resolve) => {
      if (stream.destroyed || !stream.writable) resolve(false);
      else stream.write(bytes, (error) => resolve(error === undefined || error === null));
    });
}

function watch(stream: Writable): void {
  if (watched.has(stream)) return;
  watched.add(stream);
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
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
