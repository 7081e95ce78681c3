// One command under the supervisor (shell.ts), seen from our side: its streams, its end, and how to end it.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { constants } from 'node:os';
import { Duplex } from 'node:stream';
import { unreachable } from '../unreachable.ts';
import { HostError, type HostErrorCode } from './errors.ts';
import type { Exit, HostProcess, RunOptions, RunResult, SpawnOptions } from './host.ts';
import { quoteCommand, readSupervisorMark, type Stdin, supervised } from './shell.ts';

/** A way to start one command, to be given back when it has ended. */
export interface Lease {
  /** Turns a command for the host into one that runs on this machine. */
  wrap(argv: string[]): string[];
  release(): void;
  /** The command has ended without a word: the way to the host may be lost, though nobody has noticed yet. */
  doubt(): void;
}

/** How a host starts its commands: as they are, or through a connection. */
export interface Launcher {
  readonly hostName: string;
  /** Throws HostError 'unreachable', 'aborted' or 'closed'. */
  lease(signal: AbortSignal | undefined): Promise<Lease>;
  readonly running: Set<SupervisedProcess>;
}

const STDERR_KEPT = 64 * 1024;
/** Something that the command left behind may hold its stdout open: wait for no more than this much silence. */
const DRAIN_MS = 5_000;
const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_MAX_OUTPUT = 16 * 1024 * 1024;

const SIGNAL_NAMES = new Map(
  Object.entries(constants.signals).map(([name, number]) => [number, name as NodeJS.Signals]),
);

export function exitOf(status: number): Exit {
  const signal = SIGNAL_NAMES.get(status - 128);
  return status > 128 && signal !== undefined ? { code: null, signal } : { code: status, signal: null };
}

export class SupervisedProcess {
  readonly exited: Promise<Exit>;
  readonly child: ChildProcess & { stdin: NonNullable<ChildProcess['stdin']> } & {
    stdout: NonNullable<ChildProcess['stdout']>;
  };
  readonly #mark = `blockferry-${randomBytes(12).toString('hex')}`;
  readonly #launcher: Launcher;
  readonly #lease: Lease;
  readonly #command: string;
  readonly #settle: { resolve: (exit: Exit) => void; reject: (error: HostError) => void };
  #stderr = '';
  #spawnError: Error | null = null;
  #drain: NodeJS.Timeout | null = null;
  #state: 'running' | 'ended' = 'running';

  constructor(launcher: Launcher, lease: Lease, argv: readonly string[], stdin: Stdin) {
    this.#launcher = launcher;
    this.#lease = lease;
    this.#command = quoteCommand(argv);
    const { promise, resolve, reject } = Promise.withResolvers<Exit>();
    this.exited = promise;
    this.exited.catch(() => {}); // whoever awaits it sees the failure; a kill after which nobody does is no crash
    this.#settle = { resolve, reject };
    // A process group of its own: Ctrl-C on our terminal is for us to handle, and the supervisor kills by group.
    const [program = '', ...rest] = lease.wrap(supervised(argv, this.#mark, stdin));
    this.child = spawn(program, rest, { detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
    launcher.running.add(this);
    this.child.stdin.on('error', () => {}); // EPIPE: it ended before it read everything, which its status tells
    this.child.stderr?.on('data', (chunk: Buffer) => this.#onStderr(chunk.toString('latin1')));
    this.child.on('error', (error) => {
      this.#spawnError = error;
      if (this.child.pid === undefined) this.#finish();
    });
    this.child.on('exit', () => this.#finishSoon());
    this.child.on('close', () => this.#finish());
  }

  /** What it wrote to standard error, the last 64 KiB. */
  stderr(): string {
    const end = readSupervisorMark(this.#stderr, this.#mark);
    return Buffer.from(end.kind === 'running' ? this.#stderr : end.stderr, 'latin1').toString('utf8');
  }

  error(code: HostErrorCode, detail: string, hint: string, cause?: unknown): HostError {
    const facts = { host: this.#launcher.hostName, command: this.#command, detail, hint };
    return new HostError(code, facts, cause === undefined ? undefined : { cause });
  }

  /** SIGKILLs the process group without waiting: what hangs in the kernel must not hold us up. */
  kill(error?: HostError): void {
    if (this.#state === 'ended') return;
    this.child.stdin.destroy();
    if (this.child.pid !== undefined) {
      try {
        process.kill(-this.child.pid, 'SIGKILL');
      } catch {
        // it is gone already
      }
    }
    if (error) this.#finish(error);
  }

  /** Output still comes: the end of it is worth waiting for. */
  noteOutput(): void {
    this.#drain?.refresh();
  }

  #onStderr(latin1: string): void {
    this.#stderr = (this.#stderr + latin1).slice(-STDERR_KEPT);
    if (readSupervisorMark(this.#stderr, this.#mark).kind !== 'running') this.#finishSoon();
  }

  #finishSoon(): void {
    if (this.#state === 'ended') return;
    this.#drain ??= setTimeout(() => this.#finish(), DRAIN_MS);
  }

  #finish(error?: HostError): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    if (this.#drain) clearTimeout(this.#drain);
    this.#launcher.running.delete(this);
    this.#lease.release();
    if (error) this.#settle.reject(error);
    else this.#settleByMark();
    this.child.stdin.destroy();
    this.child.stderr?.destroy();
    if (error) this.child.stdout.destroy();
    this.child.unref();
  }

  #settleByMark(): void {
    const end = readSupervisorMark(this.#stderr, this.#mark);
    switch (end.kind) {
      case 'exited':
        this.#settle.resolve(exitOf(end.status));
        break;
      case 'not-found': {
        const hint = 'Install the package that holds it on that host.';
        this.#settle.reject(this.error('not-found', 'no such program', hint));
        break;
      }
      case 'running': {
        this.#lease.doubt();
        const detail = this.#spawnError?.message ?? (this.stderr().trim() || 'ended without a status');
        const hint =
          'The connection or the command was cut off; what it did on the host is unknown: look again.';
        this.#settle.reject(this.error('unreachable', detail, hint, this.#spawnError ?? undefined));
        break;
      }
      default:
        unreachable(end);
    }
  }
}

/** Starts it. The lease is given back also when it cannot even be tried (a NUL in an argument, too long a list). */
function start(launcher: Launcher, lease: Lease, argv: readonly string[], stdin: Stdin): SupervisedProcess {
  try {
    return new SupervisedProcess(launcher, lease, argv, stdin);
  } catch (error) {
    lease.release();
    throw error;
  }
}

/** Runs a command to its end and collects its output. See Host.run for what it promises. */
export async function runSupervised(
  launcher: Launcher,
  argv: readonly string[],
  options: RunOptions,
): Promise<RunResult> {
  const input = options.input === undefined ? null : Buffer.from(options.input);
  const stdin: Stdin = input ? { kind: 'bytes', count: input.length } : { kind: 'nothing' };
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const [lease, leftMs] = await leaseWithin(launcher, argv, timeoutMs, options.signal);
  const running = start(launcher, lease, argv, stdin);
  if (input) running.child.stdin.write(input);
  const stdout = collect(running, options.maxOutputBytes ?? DEFAULT_MAX_OUTPUT, options.onStdout);
  const release = limit(running, leftMs, options.signal);
  try {
    const exit = await running.exited;
    return { ...exit, stdout: stdout(), stderr: running.stderr() };
  } finally {
    running.child.stdout.destroy();
    release();
  }
}

/** A lease, and what is left of the time. */
async function leaseWithin(
  launcher: Launcher,
  argv: readonly string[],
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<[Lease, number]> {
  if (!Number.isFinite(timeoutMs)) return [await launcher.lease(signal), timeoutMs];
  const start = performance.now();
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), timeoutMs);
  try {
    const lease = await launcher.lease(signal ? AbortSignal.any([signal, timeout.signal]) : timeout.signal);
    return [lease, Math.max(0, timeoutMs - (performance.now() - start))];
  } catch (error) {
    if (!timeout.signal.aborted) throw error;
    const facts = { host: launcher.hostName, command: quoteCommand(argv), hint: 'Is the host reachable?' };
    throw new HostError(
      'timeout',
      { ...facts, detail: `no connection within ${timeoutMs} ms` },
      { cause: error },
    );
  } finally {
    clearTimeout(timer);
  }
}

function collect(
  running: SupervisedProcess,
  maxBytes: number,
  onStdout: RunOptions['onStdout'],
): () => string {
  const chunks: Buffer[] = [];
  let bytes = 0;
  running.child.stdout.on('data', (chunk: Buffer) => {
    running.noteOutput();
    bytes += chunk.length;
    onStdout?.(chunk.toString('utf8'));
    if (bytes <= maxBytes) chunks.push(chunk);
    else running.kill(running.error('output-too-large', `more than ${maxBytes} bytes of output`, ''));
  });
  return () => Buffer.concat(chunks).toString('utf8');
}

function limit(running: SupervisedProcess, timeoutMs: number, signal: AbortSignal | undefined): () => void {
  const onTimeout = () => {
    const hint = 'The host or the storage behind the command does not answer.';
    running.kill(running.error('timeout', `no end in time (${Math.round(timeoutMs)} ms)`, hint));
  };
  const timer = Number.isFinite(timeoutMs) ? setTimeout(onTimeout, timeoutMs) : null;
  const release = onAbort(running, signal);
  return () => {
    if (timer) clearTimeout(timer);
    release();
  };
}

function onAbort(running: SupervisedProcess, signal: AbortSignal | undefined): () => void {
  const abort = () => running.kill(running.error('aborted', 'given up', '', signal?.reason));
  if (signal?.aborted) abort();
  signal?.addEventListener('abort', abort, { once: true });
  return () => signal?.removeEventListener('abort', abort);
}

/** Starts a command whose streams stay open. See Host.spawn for what it promises. */
export async function spawnSupervised(
  launcher: Launcher,
  argv: readonly string[],
  options: SpawnOptions,
): Promise<HostProcess> {
  return startSupervised(launcher, await launcher.lease(options.signal), argv, options);
}

/** The same with a lease at hand. */
export function startSupervised(
  launcher: Launcher,
  lease: Lease,
  argv: readonly string[],
  options: SpawnOptions,
): HostProcess {
  const running = start(launcher, lease, argv, { kind: 'stream' });
  const release = onAbort(running, options.signal);
  running.exited.then(release, release);
  const { stdin, stdout } = running.child;
  let duplex: Duplex | undefined; // made when asked for, because it starts to read
  return {
    stdin,
    stdout,
    get duplex() {
      duplex ??= Duplex.from({ readable: stdout, writable: stdin });
      return duplex;
    },
    stderr: () => running.stderr(),
    exited: running.exited,
    kill: () => running.kill(),
  };
}
