// CPU seconds of processes, as the kernel counts them (proc(5), /proc/PID/stat), in hundredths.
import { readdir, readFile } from 'node:fs/promises';

const TICKS_PER_SECOND = 100;

interface Stat {
  readonly comm: string;
  readonly parent: number;
  readonly seconds: number;
}

async function readStat(pid: number): Promise<Stat | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined);
  if (text === undefined) return undefined;
  // The name is in parentheses and may hold some itself.
  const rest = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const comm = text.slice(text.indexOf('(') + 1, text.lastIndexOf(')'));
  return { comm, parent: Number(rest[1]), seconds: (Number(rest[11]) + Number(rest[12])) / TICKS_PER_SECOND };
}

/** CPU seconds that the process used so far, its threads together; 0 when there is none. */
export async function cpuSeconds(pid: number | undefined): Promise<number> {
  return pid === undefined ? 0 : ((await readStat(pid))?.seconds ?? 0);
}

/** Follows the storage daemons below a process while it runs, as they are gone when it has ended. */
export class DaemonWatch {
  readonly #root: number;
  readonly #seconds = new Map<number, number>();
  readonly #timer: NodeJS.Timeout;
  #look: Promise<void> = Promise.resolve();

  constructor(root: number) {
    this.#root = root;
    this.#timer = setInterval(() => {
      this.#look = this.#look.then(() => this.#scan());
    }, 200);
  }

  /** CPU seconds of all of them, up to a fifth of a second before they ended. */
  async stop(): Promise<number> {
    clearInterval(this.#timer);
    await this.#look;
    return [...this.#seconds.values()].reduce((sum, each) => sum + each, 0);
  }

  async #scan(): Promise<void> {
    const stats = new Map<number, Stat>();
    for (const entry of await readdir('/proc')) {
      const stat = /^\d+$/.test(entry) ? await readStat(Number(entry)) : undefined;
      if (stat !== undefined) stats.set(Number(entry), stat);
    }
    for (const [pid, { comm, seconds }] of stats)
      if (comm.startsWith('qemu-storage-d') && this.#isBelow(stats, pid)) this.#seconds.set(pid, seconds);
  }

  #isBelow(stats: ReadonlyMap<number, Stat>, pid: number): boolean {
    for (let at = stats.get(pid); at !== undefined; at = stats.get(at.parent))
      if (at.parent === this.#root) return true;
    return false;
  }
}
