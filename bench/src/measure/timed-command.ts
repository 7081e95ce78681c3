// Runs a command, and tells how long it took and what CPU it and everything it started used.
import { spawn } from 'node:child_process';
import { DaemonWatch } from './cpu.ts';

export interface TimedCommand {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Killed after this long, with all that it started. */
  readonly capMs: number;
}

export interface Timed {
  readonly ended: 'well' | 'badly' | 'capped';
  readonly seconds: number;
  /** Of the command and what it started, the storage daemons apart. */
  readonly toolCpu: number;
  readonly daemonCpu: number;
  /** The end of what it said. */
  readonly said: string;
}

/** `times` tells what children used that have been waited for, theirs included (POSIX, shell command language). */
const SCRIPT = '"$@"; code=$?; times >&3; exit $code';

export async function timed({ argv, env, capMs }: TimedCommand): Promise<Timed> {
  const began = performance.now();
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'sh', ...argv], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C', ...env },
    detached: true, // a process group of its own, so that all of it can be ended
  });
  const watch = new DaemonWatch(child.pid ?? 0);
  const collect = (stream: NodeJS.ReadableStream | null | undefined) => {
    const parts: string[] = [];
    stream?.setEncoding('utf8').on('data', (text: string) => parts.push(text));
    return parts;
  };
  const said = [collect(child.stdout), collect(child.stderr)];
  const [, , , pipe] = child.stdio;
  const times = collect(pipe !== null && pipe !== undefined && 'setEncoding' in pipe ? pipe : undefined);
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
  const seconds = (performance.now() - began) / 1000;
  const daemonCpu = await watch.stop();
  const toolCpu = Math.max(0, childrenSeconds(times.join('')) - daemonCpu);
  const ended = capped ? 'capped' : code === 0 ? 'well' : 'badly';
  return { ended, seconds, toolCpu, daemonCpu, said: said.flat().join('').slice(-2000) };
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
