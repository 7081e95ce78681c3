// Programs that serve while we live: the kernel kills them when this process ends, in whatever way.
import { type ChildProcess, spawn } from 'node:child_process';
import { until } from './until.ts';

/**
 * Starts `argv` and returns when `ready` says so.
 * @throws {Error} with what the program said when it ends or is not ready within 10 s.
 */
export async function startAttached(
  argv: readonly string[],
  ready: () => Promise<boolean>,
): Promise<AttachedProcess> {
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
  const started = new AttachedProcess(argv, child);
  try {
    await until(`start of ${argv[0]}`, async () => {
      if (started.ended) throw new Error(`${argv.join(' ')} ended`);
      return (await ready()) ? true : undefined;
    });
    return started;
  } catch (cause) {
    await started.kill();
    throw new Error(`${argv.join(' ')} does not serve\n${started.said}`, { cause });
  }
}

export class AttachedProcess {
  readonly argv: readonly string[];
  /** What it wrote to stdout and stderr. */
  said = '';
  readonly #child: ChildProcess;
  readonly #end: Promise<void>;

  constructor(argv: readonly string[], child: ChildProcess) {
    this.argv = argv;
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.said += text;
      });
    }
    this.#end = new Promise((resolve) => {
      child.once('exit', () => resolve());
      child.once('error', (cause) => {
        this.said += cause.message;
        resolve();
      });
    });
  }

  get ended(): boolean {
    return this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Stops it where it stands: it answers nothing, and closes nothing. */
  hang(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  /** Kills it with SIGKILL, hanging or not, and waits for its end. Does nothing when it has ended. */
  async kill(): Promise<void> {
    if (!this.ended) this.#child.kill('SIGKILL');
    await this.#end;
  }
}
