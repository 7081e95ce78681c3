// A blockferry process seen from the test that starts it, watches it, and kills it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from '../process/until.ts';

/** The point at which a process stops where it stands. Names are counted: the second `record` is `record#2`. */
export type Halt = {
  /** After a step was carried out; or as soon as a single change on the host or in libvirt was made. */
  readonly at: 'step-done' | 'effect';
  readonly name: string;
  /** Default SIGKILL. */
  readonly signal?: 'SIGKILL' | 'SIGSTOP';
};

/** One point, or several that it comes to one after the other. */
export type Halts = Halt | readonly Halt[];

/** The last line of `--json`, as far as tests look at it. */
export type Result = {
  readonly type: 'result';
  readonly outcome: string;
  readonly exitCode: number;
  readonly runsOn: string | null;
  readonly cutoverMs: number | null;
  /** Bytes of frozen layers that earlier runs had copied; null if this one copied none. */
  readonly copiedBefore: number | null;
  readonly verifiedBytes: number | null;
  readonly freezeMs: number | null;
  readonly error: { readonly code: string; readonly message: string; readonly hint: string | null } | null;
};

/** A line of `--json`, or one of ours. */
export type Line =
  | Result
  | { readonly type: 'step'; readonly step: string }
  | {
      readonly type: 'progress';
      readonly copied: number;
      readonly total: number;
      readonly verified?: number;
      readonly space?: string | null;
    }
  | { readonly type: 'warning'; readonly code: string; readonly message: string }
  | { readonly type: Halt['at']; readonly name: string }
  | { readonly type: 'move' | 'backup' | 'migration'; readonly atWork: boolean | null }
  | { readonly type: 'plan' | 'migration-plan' | 'phase' };

export type FerryOptions = {
  readonly uri: string;
  /** Where this machine keeps its notes of open moves. */
  readonly stateDirectory: string;
  readonly halt?: Halts;
  /** What is run; default the command line. */
  readonly script?: keyof typeof scripts;
};

const scripts = {
  /** The command line. */
  blockferry: 'ferry-process',
  /** The engine, copying all disks of a domain into a directory: argv is the two. */
  copies: 'copies-process',
} as const;

/** Hundreds of processes are started, most of them to die. See scripts/bundle-ferries.ts; without that, compiled code is kept. */
function programOf(script: keyof typeof scripts): { readonly path: string; readonly compiled: string } {
  const directory = process.env.BLOCKFERRY_FERRIES;
  const name = scripts[script];
  if (directory !== undefined) {
    return { path: join(directory, 'dist', `${name}.js`), compiled: join(directory, 'compiled') };
  }
  const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
  return { path: at(`${name}.ts`), compiled: at('../../../.cache/compiled') };
}

/** Nothing that a test waits for takes this long. */
const PATIENCE_MS = 90_000;

/** Starts `blockferry VERB … --json`. It dies with this process. */
export function startFerry(
  argv: readonly string[],
  { uri, stateDirectory, halt, script = 'blockferry' }: FerryOptions,
): Ferry {
  const node = [process.execPath, '--conditions=blockferry-source', '--disable-warning=ExperimentalWarning'];
  const points = JSON.stringify(halt === undefined ? [] : [halt].flat());
  const { path, compiled } = programOf(script);
  const child = spawn(
    'setpriv',
    ['--pdeathsig', 'KILL', ...node, path, points, '-c', uri, ...argv, '--json'],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, BLOCKFERRY_STATE_DIR: stateDirectory, NODE_COMPILE_CACHE: compiled },
    },
  );
  return new Ferry(child, argv.join(' '));
}

export class Ferry {
  readonly lines: Line[] = [];
  /** On performance.now's clock; 0 while it runs. */
  endedAt = 0;
  readonly #command: string;
  readonly #child: ChildProcess;
  readonly #closed: Promise<void>;
  readonly #waiting = new Set<() => void>();
  #rest = '';
  #words = '';
  #over = false;

  constructor(child: ChildProcess, command: string) {
    this.#command = command;
    this.#child = child;
    this.#closed = once(child, 'close').then(() => {
      this.#over = true;
      this.endedAt = performance.now();
      this.#wake();
    });
    child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#hear(text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#words += text;
    });
  }

  /** What `look` finds in the first line, from the beginning, of which it finds anything. */
  async find<T>(what: string, look: (line: Line) => T | undefined): Promise<T> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      for (const line of this.lines) {
        const found = look(line);
        if (found !== undefined) return found;
      }
      if (this.#over) throw this.#error(`ended without ${what}`);
      if (performance.now() > deadline) throw this.#error(`no ${what} within ${PATIENCE_MS} ms`);
      await this.#news(deadline - performance.now());
    }
  }

  /** Waits until a step of this name begins. */
  async step(step: string): Promise<void> {
    await this.find(`step ${step}`, (line) => (line.type === 'step' && line.step === step) || undefined);
  }

  /** Waits until it stands at the point where it was told to stop itself, with SIGSTOP or for good. */
  async halted(name: string): Promise<void> {
    await this.find(name, (line) => ('name' in line && line.name === name) || undefined);
    // It has said so, and stops itself next: a SIGCONT that came before that would be lost.
    await until('the process to stand', async () => {
      const stat = await readFile(`/proc/${this.#child.pid}/stat`, 'utf8').catch(() => undefined);
      return stat === undefined || /\) [TZ] /.test(stat) || undefined;
    });
  }

  /** Waits for a warning, and returns its message. */
  async warning(code: string): Promise<string> {
    return await this.find(`warning ${code}`, (line) => {
      return line.type === 'warning' && line.code === code ? line.message : undefined;
    });
  }

  /** Waits until something, but not all of it, was copied. */
  async copying(): Promise<void> {
    await this.find('progress', (line) => {
      return (line.type === 'progress' && line.copied > 0 && line.copied < line.total) || undefined;
    });
  }

  /** Its last word. @throws Error when it was killed or crashed */
  async result(): Promise<Result> {
    const result = await this.find('result', (line) => (line.type === 'result' ? line : undefined));
    await this.#closed;
    return result;
  }

  /** Waits until it is gone, by its own doing or killed. */
  async gone(): Promise<void> {
    await this.#closed;
  }

  /** Waits until it has killed itself after the step `name`, as told. @throws Error when it ended before */
  async diedAfter(name: string): Promise<void> {
    await this.halted(name);
    await this.#closed;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** SIGKILL now. Does nothing to one that has ended. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#closed;
  }

  /** As Ctrl-C does. */
  interrupt(): void {
    this.#child.kill('SIGINT');
  }

  /** Lets one that stopped itself go on. */
  cont(): void {
    this.#child.kill('SIGCONT');
  }

  /** Names of the steps carried out, or of the single changes made, as `Halt` takes them. */
  passed(at: Halt['at']): string[] {
    return this.lines.flatMap((line) => (line.type === at && 'name' in line ? [line.name] : []));
  }

  /** Bytes of frozen layers that were copied and verified, as it said last. */
  verified(): number {
    return Math.max(0, ...this.lines.map((line) => (line.type === 'progress' ? (line.verified ?? 0) : 0)));
  }

  #hear(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.lines.push(JSON.parse(line) as Line);
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  #news(atMostMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, atMostMs);
      this.#waiting.add(wake);
    });
  }

  #error(what: string): Error {
    const last = this.lines.slice(-12).map((line) => JSON.stringify(line));
    return new Error(`blockferry ${this.#command} ${what}\n${this.#words}\n${last.join('\n')}`);
  }
}
