// Memory of the host that holds a window from when it is read until nobody needs it any more: the source is read once.
import { firstWords, type Host, type HostProcess } from '@blockferry/qemu';
import type { Task } from './backlog.ts';
import type { Layer } from './layer.ts';
import type { LayerPlan } from './layer-plan.ts';
import { type Window, windowAt } from './windows.ts';

const DIRECTORY = '/dev/shm';
/** One that is being read, one that is to be written, one that is, two that are flushed, one that waits, one that is compared. */
const MOST_SLOTS = 7;
/** With fewer, most windows would find none. */
const FEWEST_SLOTS = 3;
/** The host is there for its guests: no more than this part of what it has left. */
const SHARE = 8n;

/** Where a window is kept: `window` of that file, from its start, which whoever may look at our processes can open. */
export interface Slot {
  readonly path: string;
  readonly window: Window;
}

interface Kept {
  readonly task: Task;
  readonly path: string;
  holders: number;
}

/**
 * Files in memory without a name, one for each window, which go with the process that holds them, as that goes with us:
 * whatever dies, nothing is left. Not one file for all: to find a hole, which QEMU asks for, the kernel looks at every
 * page up to the next one, or to the end.
 */
export class WindowMemory implements AsyncDisposable {
  readonly #holder: HostProcess;
  readonly #free: string[];
  #kept: Kept[] = [];
  #freed = Promise.withResolvers<void>();
  #isOver = false;

  private constructor({ process, paths }: Held) {
    this.#holder = process;
    this.#free = [...paths];
  }

  /** Undefined where the host has no memory to spare, or the copy is too small for it. Fails with the signal alone. */
  static async take(
    host: Host,
    layers: readonly Layer[],
    signal: AbortSignal,
  ): Promise<WindowMemory | undefined> {
    const slotBytes = layers.reduce((most, { journal }) => max(most, journal.cut.windowBytes), 0n);
    const windows = layers.reduce((sum, { count, journal }) => sum + count - journal.copied.size, 0);
    const spare = await spareBytes(host, signal);
    signal.throwIfAborted();
    const slots = slotCount(spare, slotBytes, windows);
    if (slots === 0) return undefined;
    const held = await hold(host, slots, slotBytes, signal);
    signal.throwIfAborted();
    return held && new WindowMemory(held);
  }

  /** A free slot for the window, which is its own until everybody who holds it is through; undefined if there is none. */
  keep(task: Task): Slot | undefined {
    if (this.#isOver || !mayBeKept(task.layer.plan)) return undefined;
    const path = this.#free.pop();
    if (path === undefined) return undefined;
    const kept = { task, path, holders: 1 };
    this.#kept.push(kept);
    return slotOf(kept);
  }

  get hasFree(): boolean {
    return !this.#isOver && this.#free.length > 0;
  }

  /** Where the window is kept; undefined if it is not. */
  slotOf(task: Task): Slot | undefined {
    const kept = this.#find(task);
    return kept && slotOf(kept);
  }

  /** Somebody else needs the window too, until a `free` of his own. */
  hold(task: Task): void {
    const kept = this.#find(task);
    if (kept) kept.holders += 1;
  }

  free(task: Task): void {
    const kept = this.#find(task);
    if (!kept) return;
    kept.holders -= 1;
    if (kept.holders > 0) return;
    this.#kept = this.#kept.filter((each) => each !== kept);
    this.#free.push(kept.path);
    this.#freed.resolve();
    this.#freed = Promise.withResolvers();
  }

  /** Waits until nobody needs any of the windows. */
  async unused(): Promise<void> {
    while (this.#kept.length > 0) await this.#freed.promise;
  }

  /** It does not do what it should: nothing more is kept in it. */
  giveUp(): void {
    this.#isOver = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#holder.kill();
    await this.#holder.exited.catch(() => {});
  }

  /** A window that is copied again is another task. */
  #find(task: Task): Kept | undefined {
    return this.#kept.find((kept) => kept.task === task);
  }
}

function slotOf({ task: { layer, index }, path }: Kept): Slot {
  return { path, window: { ...windowAt(layer.journal.cut, index), offset: 0n } };
}

/** How many windows are kept at once; 0 for none. Pure. */
export function slotCount(spareBytes: bigint, slotBytes: bigint, windows: number): number {
  if (slotBytes === 0n) return 0;
  const slots = Math.min(MOST_SLOTS, windows, Number(spareBytes / SHARE / slotBytes));
  return slots < FEWEST_SLOTS ? 0 : slots;
}

/** What is decrypted on the way is not: memory may be swapped out. */
function mayBeKept({ how, from, chain }: LayerPlan): boolean {
  return how === 'bytes' || [from, ...chain].every(({ passphrase }) => passphrase === undefined);
}

/** Bytes of memory that the host could give without swapping; 0n where that cannot be told. */
async function spareBytes(host: Host, signal: AbortSignal): Promise<bigint> {
  try {
    const { type, available } = await host.statfs(DIRECTORY, { signal });
    const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(
      (await host.readFile('/proc/meminfo', { signal })) ?? '',
    )?.[1];
    if (type !== 'tmpfs' || kib === undefined) return 0n;
    const memory = BigInt(kib) * 1024n;
    return memory < available ? memory : available;
  } catch {
    return 0n;
  }
}

/** A shell knows descriptors up to 9. */
const FIRST_DESCRIPTOR = 3;
const HOLD = `
descriptor=${FIRST_DESCRIPTOR}
while [ "$descriptor" -lt $((${FIRST_DESCRIPTOR} + $2)) ]; do
  file=$(mktemp "$1/blockferry-XXXXXX") || exit
  eval "exec $descriptor<>\\"\\$file\\""
  rm -f -- "$file"
  truncate -s "$3" "/proc/self/fd/$descriptor" || exit
  descriptor=$((descriptor + 1))
done
echo $$
exec cat`;

interface Held {
  readonly process: HostProcess;
  /** Of the files, for whoever may look at that process: we ourselves. */
  readonly paths: readonly string[];
}

async function hold(
  host: Host,
  slots: number,
  bytes: bigint,
  signal: AbortSignal,
): Promise<Held | undefined> {
  try {
    const argv = ['sh', '-c', HOLD, 'sh', DIRECTORY, String(slots), String(bytes)];
    const process = await host.spawn(argv, { signal });
    const pid = /^\d+\n$/.exec((await firstWords(process)) ?? '')?.[0].trim();
    if (pid !== undefined) {
      const path = (_: unknown, at: number) => `/proc/${pid}/fd/${FIRST_DESCRIPTOR + at}`;
      return { process, paths: Array.from({ length: slots }, path) };
    }
    process.kill();
  } catch {
    // Without a shell, or with another one: it does without.
  }
  return undefined;
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
