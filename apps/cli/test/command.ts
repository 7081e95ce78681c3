// blockferry as it is typed: in this process where only its words count, and as a process of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { main } from '../src/main.ts';
import { recordedIo } from '../src/testing/move.ts';

export type Said = {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
};

export type Where = { readonly uri: string; readonly stateDirectory: string };

/** Runs a command in this process, with nobody there to answer. */
export function inProcess(where: Where, ...argv: string[]): Promise<Said> {
  return withAnswer(where, undefined, ...argv);
}

/** Runs a command in this process, with an operator who answers each question so. */
export async function withAnswer(
  { uri, stateDirectory }: Where,
  answer: string | undefined,
  ...argv: string[]
): Promise<Said> {
  process.env.BLOCKFERRY_STATE_DIR = stateDirectory;
  const io = recordedIo(answer === undefined ? {} : { answer });
  const code = await main(['-c', uri, ...argv], { io });
  return { code, signal: null, ...io.written };
}

export type Running = {
  readonly process: ChildProcess;
  /** What it wrote so far. */
  readonly said: { out: string; err: string };
  readonly ended: Promise<Said>;
};

/** Starts `bin/blockferry`. Its streams are pipes. */
export function start({ uri, stateDirectory }: Where, ...argv: string[]): Running {
  const program = fileURLToPath(new URL('../../../bin/blockferry', import.meta.url));
  const env = { ...process.env, BLOCKFERRY_STATE_DIR: stateDirectory };
  const child = spawn(program, ['-c', uri, ...argv], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.err += text;
  });
  const ended = once(child, 'close').then(([code, signal]: (number | NodeJS.Signals | null)[]) => ({
    code: typeof code === 'number' ? code : null,
    signal: typeof signal === 'string' ? signal : null,
    ...said,
  }));
  return { process: child, said, ended };
}

/** The lines of JSON that were written. @throws {SyntaxError} when one is none */
export function jsonLines({ out }: { readonly out: string }): Record<string, unknown>[] {
  return out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** The last line of JSON. */
export function lastLine(said: { readonly out: string }): Record<string, unknown> {
  return jsonLines(said).at(-1) ?? {};
}
