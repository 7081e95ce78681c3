// Shells that stay open and run one short command after the other: a file operation then costs one fork or, over
// ssh, one round trip, and not a process tree or a session of its own.
import { randomBytes } from 'node:crypto';
import { HostError } from './errors.ts';
import type { Exit, HostProcess, RunOptions, RunResult } from './host.ts';
import { quoteCommand } from './shell.ts';
import { exitOf, type Launcher, runSupervised, startSupervised } from './supervised-process.ts';

/** More at once than this wait for a shell to come free. */
const MOST_SHELLS = 4;
/** bash reads a script from a pipe byte by byte: longer input gets a process of its own. */
const LONGEST_INPUT = 32 * 1024;
const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_MAX_OUTPUT = 16 * 1024 * 1024;

export class ShellPool {
  readonly #launcher: Launcher;
  readonly #idle: OpenShell[] = [];
  readonly #waiting: (() => void)[] = [];
  #busy = 0;

  constructor(launcher: Launcher) {
    this.#launcher = launcher;
  }

  /**
   * Runs a command to its end in a shell that stays open; as Host.run, for commands that end soon. Input must be
   * text without NUL. A command that does not end in time costs its shell, which is killed, and nothing else.
   */
  async run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    if ((options.input?.length ?? 0) > LONGEST_INPUT) return runSupervised(this.#launcher, argv, options);
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const deadline = performance.now() + timeoutMs;
    const shell = await this.#takeWithin(argv, timeoutMs, options.signal);
    try {
      return await shell.run(argv, options, deadline - performance.now());
    } finally {
      this.#giveBack(shell);
    }
  }

  /** A shell, unless waiting for one, or for the connection, takes all the time there is. */
  async #takeWithin(
    argv: readonly string[],
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<OpenShell> {
    const giveUp = new AbortController();
    const timer = setTimeout(() => giveUp.abort(), timeoutMs);
    const limit = signal ? AbortSignal.any([signal, giveUp.signal]) : giveUp.signal;
    try {
      return await this.#take(limit);
    } catch (error) {
      if (!limit.aborted) throw error;
      const [code, detail]: [HostError['code'], string] = giveUp.signal.aborted
        ? ['timeout', `not begun in time (${timeoutMs} ms)`]
        : ['aborted', 'given up'];
      const facts = {
        host: this.#launcher.hostName,
        command: quoteCommand(argv),
        detail,
        hint: HINTS[code] ?? '',
      };
      throw new HostError(code, facts, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  async #take(limit: AbortSignal): Promise<OpenShell> {
    while (this.#busy >= MOST_SHELLS) await this.#turn(limit);
    this.#busy += 1;
    const idle = this.#idle.pop();
    if (idle?.usable) return idle;
    try {
      const lease = await this.#launcher.lease(limit);
      return new OpenShell(this.#launcher.hostName, startSupervised(this.#launcher, lease, ['/bin/sh'], {}));
    } catch (error) {
      this.#free();
      throw error;
    }
  }

  /** Waits until a shell comes free, or rejects when the limit comes first. */
  async #turn(limit: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = () => {
      const place = this.#waiting.indexOf(resolve);
      if (place >= 0) this.#waiting.splice(place, 1);
      reject(limit.reason);
    };
    this.#waiting.push(resolve);
    limit.addEventListener('abort', abort, { once: true });
    if (limit.aborted) abort();
    try {
      await promise;
    } finally {
      limit.removeEventListener('abort', abort);
    }
  }

  #free(): void {
    this.#busy -= 1;
    this.#waiting.shift()?.();
  }

  #giveBack(shell: OpenShell): void {
    if (shell.usable) this.#idle.push(shell);
    this.#free();
  }
}

/** How everything a command answers ends. */
const END = ' end\n';

// The command's own stdout goes through as it is; then the mark, the status and what it wrote to stderr.
function script(argv: readonly string[], input: string | undefined, mark: string): string {
  const command = quoteCommand(argv);
  const fed = input === undefined ? `${command} </dev/null` : `printf %s ${quoteText(input)} | ${command}`;
  return `{ e=$( { ${fed} ; } 2>&1 1>&3 3>&-); s=$?; } 3>&1; printf '\\n%s %s\\n%s\\n%s end\\n' ${mark} "$s" "$e" ${mark}\n`;
}

function quoteText(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

interface Waiting {
  readonly mark: string;
  readonly maxBytes: number;
  readonly settle: { resolve: (result: RunResult) => void; reject: (error: HostError) => void };
  readonly fail: (code: 'unreachable' | 'output-too-large', detail: string) => HostError;
}

class OpenShell {
  readonly #hostName: string;
  readonly #process: HostProcess;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #tail = '';
  #waiting: Waiting | undefined;
  #open = true;

  constructor(hostName: string, process: HostProcess) {
    this.#hostName = hostName;
    this.#process = process;
    process.stdout.on('data', (chunk: Buffer) => this.#onData(chunk));
    process.exited.then(
      () => this.#ended(process.stderr()),
      (error: unknown) => this.#ended(error instanceof Error ? error.message : String(error)),
    );
    // Told that we are dead, it lets its command clean up: with its own end the supervisor kills all that is left.
    process.stdin.write('trap : TERM\n');
  }

  get usable(): boolean {
    return this.#open;
  }

  async run(argv: readonly string[], options: RunOptions, timeoutMs: number): Promise<RunResult> {
    const { promise, resolve, reject } = Promise.withResolvers<RunResult>();
    const mark = `blockferry-${randomBytes(12).toString('hex')}`;
    const fail = (code: HostError['code'], detail: string, cause?: unknown) =>
      new HostError(
        code,
        { host: this.#hostName, command: quoteCommand(argv), detail, hint: HINTS[code] ?? '' },
        { cause },
      );
    const giveUp = (error: HostError) => {
      this.#close();
      reject(error);
    };
    const timer = setTimeout(
      () =>
        giveUp(fail('timeout', `no end in time (${Math.round(options.timeoutMs ?? DEFAULT_TIMEOUT_MS)} ms)`)),
      Math.max(0, timeoutMs),
    );
    const abort = () => giveUp(fail('aborted', 'given up', options.signal?.reason));
    options.signal?.addEventListener('abort', abort, { once: true });
    this.#waiting = {
      mark,
      maxBytes: options.maxOutputBytes ?? DEFAULT_MAX_OUTPUT,
      settle: { resolve, reject },
      fail,
    };
    try {
      if (options.signal?.aborted) abort();
      else this.#process.stdin.write(script(argv, options.input?.toString(), mark));
      return await promise;
    } finally {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', abort);
      this.#waiting = undefined;
    }
  }

  #onData(chunk: Buffer): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes > waiting.maxBytes) {
      this.#close();
      waiting.settle.reject(
        waiting.fail('output-too-large', `more than ${waiting.maxBytes} bytes of output`),
      );
      return;
    }
    // Joined and searched only when it may have ended: a large file comes in thousands of chunks.
    this.#tail = (this.#tail + chunk.subarray(-END.length).toString('latin1')).slice(-END.length);
    if (this.#tail !== END) return;
    const result = readResult(Buffer.concat(this.#chunks), waiting.mark);
    if (result === undefined) return;
    this.#chunks = [];
    this.#bytes = 0;
    this.#tail = '';
    waiting.settle.resolve(result);
  }

  #ended(why: string): void {
    this.#open = false;
    this.#waiting?.settle.reject(this.#waiting.fail('unreachable', why.trim() || 'the shell ended'));
  }

  #close(): void {
    this.#open = false;
    this.#process.kill();
  }
}

const HINTS: Partial<Record<HostError['code'], string>> = {
  timeout: 'The host or the storage behind the command does not answer.',
  unreachable: 'The connection or the command was cut off; what it did on the host is unknown: look again.',
};

function readResult(output: Buffer, mark: string): RunResult | undefined {
  const end = output.lastIndexOf(`\n${mark} end\n`);
  const start = output.lastIndexOf(`\n${mark} `, end - 1);
  if (end < 0 || start < 0) return undefined;
  const tail = output.subarray(start + mark.length + 2, end).toString('utf8');
  const lineEnd = tail.indexOf('\n');
  const exit: Exit = exitOf(Number(tail.slice(0, lineEnd)));
  return { ...exit, stdout: output.subarray(0, start).toString('utf8'), stderr: tail.slice(lineEnd + 1) };
}
