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

/**
 * Follows the storage daemons below a process while it runs, as they are gone when it has ended. Whatever else runs on the
 * machine is looked at once: to read all of /proc again and again would take the processor from the guest that is measured.
 */
export class DaemonWatch {
  readonly #below: Set<number>;
  readonly #others = new Set<number>();
  readonly #seconds = new Map<number, number>();
  readonly #timer: NodeJS.Timeout;
  #look: Promise<void> = Promise.resolve();

  constructor(root: number) {
    this.#below = new Set([root]);
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

  /** A process below it keeps its place when it becomes another program, or when its parent ends. */
  async #scan(): Promise<void> {
    const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry)).map(Number);
    // Parents have the lower number but when numbers begin anew.
    for (const pid of pids.sort((one, other) => one - other)) {
      if (this.#others.has(pid)) continue;
      const stat = await readStat(pid);
      if (stat === undefined) continue;
      if (this.#below.has(stat.parent)) this.#below.add(pid);
      if (!this.#below.has(pid)) this.#others.add(pid);
      else if (stat.comm.startsWith('qemu-storage-d')) this.#seconds.set(pid, stat.seconds);
    }
  }
}
