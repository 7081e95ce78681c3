// Runs a program to its end with a deadline, and keeps what it said for the error message.
import { spawn } from 'node:child_process';

export type RunOptions = {
  readonly timeoutMs?: number;
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Exit codes that are an answer, not a failure. Default: only 0. */
  readonly accept?: readonly number[];
};

export type RunResult = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** A program ended otherwise than hoped: a wrong exit code, a signal, or it took too long. */
export class RunError extends Error {
  readonly argv: readonly string[];
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;

  constructor(argv: readonly string[], how: string, code: number | null, stdout: string, stderr: string) {
    super(`${argv.join(' ')}: ${how}\n${stderr.trim()}${stdout.trim() === '' ? '' : `\n${stdout.trim()}`}`);
    this.name = 'RunError';
    this.argv = argv;
    this.code = code;
    this.stdout = stdout;
    this.stderr = stderr;
  }
}

/**
 * Runs `argv` without a shell and returns what it wrote.
 *
 * The program is killed with SIGKILL after `timeoutMs` (default 60 s).
 * @throws {RunError} on an exit code that is not accepted, a signal, or a timeout.
 */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { timeoutMs = 60_000, accept = [0] } = options;
  const [program = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C', ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    let stdout = '';
    let stderr = '';
    // A program that waits for a frozen file system does not even die: we wait for it no longer.
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      for (const stream of [child.stdout, child.stderr]) stream.destroy();
      child.unref();
      reject(new RunError(argv, `no end after ${timeoutMs} ms`, null, stdout, stderr));
    }, timeoutMs);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.stdin.on('error', () => {}); // the program may end without reading its input
    child.stdin.end(options.input ?? '');
    child.on('error', (cause) => {
      clearTimeout(timer);
      reject(new RunError(argv, cause.message, null, stdout, stderr));
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (code !== null && accept.includes(code)) resolve({ code, stdout, stderr });
      else reject(new RunError(argv, signal ?? `exit code ${code}`, code, stdout, stderr));
    });
  });
}
