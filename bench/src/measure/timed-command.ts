// Runs a command, and tells how long it took and what CPU it and everything it started used.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { DaemonWatch } from './cpu.ts';

export interface TimedCommand {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Killed after this long, with all that it started. */
  readonly capMs: number;
}

/** Of what a command wrote to stdout. */
export interface Line {
  /** Seconds since the command was started. */
  readonly at: number;
  readonly text: string;
}

export interface Timed {
  readonly ended: 'well' | 'badly' | 'capped';
  readonly seconds: number;
  /** Of the command and what it started, the storage daemons apart. */
  readonly toolCpu: number;
  readonly daemonCpu: number;
  /** The end of what it said. */
  readonly said: string;
  readonly lines: readonly Line[];
}

/** `times` tells what children used that have been waited for, theirs included (POSIX, shell command language). */
const SCRIPT = '"$@"; code=$?; times >&3; exit $code';

export async function timed({ argv, env, capMs }: TimedCommand): Promise<Timed> {
  const began = performance.now();
  const since = () => (performance.now() - began) / 1000;
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'sh', ...argv], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C', ...env },
    detached: true, // a process group of its own, so that all of it can be ended
  });
  const watch = new DaemonWatch(child.pid ?? 0);
  const said = [linesOf(child.stdout, since), linesOf(child.stderr, since)] as const;
  const [, , , pipe] = child.stdio;
  const times = linesOf(pipe instanceof Readable ? pipe : null, since);
  let capped = false;
  const timer = setTimeout(() => {
    capped = true;
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, capMs);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (ended) => resolve(ended));
  });
  clearTimeout(timer);
  const seconds = since();
  const daemonCpu = await watch.stop();
  const toolCpu = Math.max(0, childrenSeconds(joined(times)) - daemonCpu);
  const ended = capped ? 'capped' : code === 0 ? 'well' : 'badly';
  const words = joined(said.flat()).slice(-2000);
  return { ended, seconds, toolCpu, daemonCpu, said: words, lines: said[0] };
}

function linesOf(stream: Readable | null, since: () => number): readonly Line[] {
  const lines: Line[] = [];
  if (stream !== null)
    createInterface({ input: stream }).on('line', (text) => lines.push({ at: since(), text }));
  return lines;
}

function joined(lines: readonly Line[]): string {
  return lines.map(({ text }) => `${text}\n`).join('');
}

/** The second line of `times`: user and system time of children, such as `0m1.250s 0m0.330s`. */
export function childrenSeconds(text: string): number {
  const found =
    text
      .trim()
      .split('\n')[1]
      ?.matchAll(/(\d+)m([\d.]+)s/g) ?? [];
  return [...found].reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds), 0);
}
