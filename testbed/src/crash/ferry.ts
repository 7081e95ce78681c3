// A blockferry process seen from the test that starts it, watches it, and kills it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { FerryEnd, FerryEnding, FerryOrder, FerryReport } from './protocol.ts';

const script = fileURLToPath(new URL('ferry-process.ts', import.meta.url));
const conditions = '--conditions=blockferry-source';

/** Nothing that a test waits for takes this long. */
const PATIENCE_MS = 90_000;

/** Starts blockferry. It dies with this process. */
export function startFerry(order: FerryOrder): Ferry {
  const text = JSON.stringify(order, (_, value: unknown) =>
    typeof value === 'bigint' ? `${value}n` : value,
  );
  const argv = ['--pdeathsig', 'KILL', process.execPath, conditions, '--disable-warning=ExperimentalWarning'];
  return new Ferry(
    spawn('setpriv', [...argv, script, text], { stdio: ['ignore', 'pipe', 'pipe'] }),
    order.verb,
  );
}

export class Ferry {
  readonly reports: FerryReport[] = [];
  readonly #verb: string;
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  readonly #waiting = new Set<() => void>();
  #rest = '';
  #words = '';
  #over = false;

  constructor(child: ChildProcess, verb: string) {
    this.#verb = verb;
    this.#child = child;
    this.#closed = once(child, 'close').then(() => {
      this.#over = true;
      this.#wake();
    });
    child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#hear(text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#words += text;
    });
  }

  /** The first report, from the beginning, for which `wanted` is true. @throws Error when the process ends without it */
  async report(what: string, wanted: (report: FerryReport) => boolean): Promise<FerryReport> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const found = this.reports.find(wanted);
      if (found !== undefined) return found;
      if (this.#over) throw this.#error(`ended without ${what}`);
      if (performance.now() > deadline) throw this.#error(`no ${what} within ${PATIENCE_MS} ms`);
      await this.#change(deadline - performance.now());
    }
  }

  /** Waits for a step to begin, or with `done` to be carried out; names are counted as in Halt. */
  async step(step: string, type: 'step' | 'done' = 'step'): Promise<void> {
    await this.report(`${type} ${step}`, (report) => report.type === type && report.step === step);
  }

  async warning(code: string): Promise<string> {
    const found = await this.report(`warning ${code}`, (r) => r.type === 'warning' && r.code === code);
    return found.type === 'warning' ? found.message : '';
  }

  /** The copy runs: something, but not all of it was copied. */
  async copying(): Promise<void> {
    await this.report('progress', (r) => r.type === 'progress' && r.copied < r.total && r.copied > 0n);
  }

  /** How it ended by itself. @throws Error when it was killed or crashed */
  async end(): Promise<FerryEnd> {
    const found = await this.report('end', (report) => report.type === 'end');
    await this.#closed;
    if (found.type !== 'end') throw this.#error('no end');
    return found;
  }

  async ending(): Promise<FerryEnding> {
    return (await this.end()).ending;
  }

  /** Waits until it is gone, by its own doing or killed. */
  async gone(): Promise<void> {
    await this.#closed;
  }

  /** SIGKILL now. Does nothing to one that has ended. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#closed;
  }

  /** Lets one that stopped itself go on. */
  cont(): void {
    this.#child.kill('SIGCONT');
  }

  get steps(): readonly string[] {
    return this.reports.flatMap((report) => (report.type === 'step' ? [report.step] : []));
  }

  get effects(): readonly string[] {
    return this.reports.flatMap((report) => (report.type === 'effect' ? [report.effect] : []));
  }

  #hear(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.reports.push(read(line));
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  #change(atMostMs: number): Promise<void> {
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
    const last = this.reports.slice(-12).map((report) => JSON.stringify(report, showBigint));
    return new Error(`blockferry ${this.#verb} ${what}\n${this.#words}\n${last.join('\n')}`);
  }
}

function showBigint(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value;
}

function read(line: string): FerryReport {
  return JSON.parse(line, (_, value: unknown) =>
    typeof value === 'string' && /^\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value,
  ) as FerryReport;
}
