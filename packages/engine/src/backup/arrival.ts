// Did what QEMU wrote into an image reach its storage? The kernel tells that once, and QEMU, whose flush at the end of a job
// may be the one that is told, tells nobody.
import { join } from 'node:path';
import { errnoOf, FileError, firstWords, type Host, type HostProcess } from '@blockferry/qemu';
import { pointPath } from './layout.ts';
import type { BackupScene } from './scene.ts';

/**
 * Whoever has a file open is told by fsync of every write that failed since then, and of one before of which nobody was told
 * (errseq_t of Linux); whoever opens it afterwards is not. `sync` of coreutils opens it anew; dd flushes what it has got.
 */
const WATCH = `exec 3<"$1" || exit
echo open
read -r _ || exit
exec dd if=/dev/null conv=fsync status=none 1>&3`;

/** Images that are held open until what others wrote to them is on their storage. */
export class Arrival {
  readonly #watches: readonly HostProcess[];
  #isLost = false;

  private constructor(watches: readonly HostProcess[]) {
    this.#watches = watches;
    const lost = () => {
      this.#isLost = true;
    };
    for (const { exited } of watches) void exited.then(lost, lost);
  }

  /** From when this returns on nothing escapes it. @throws FileError when one cannot be opened; HostError */
  static async of(host: Host, paths: readonly string[], signal: AbortSignal): Promise<Arrival> {
    return new Arrival(await Promise.all(paths.map((path) => opened(host, path, signal))));
  }

  /** A process of it has ended: what failed from then on, nobody knows. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Flushes, once. @returns what could not be written, in the words of the host; undefined: all is there. @throws HostError */
  async complete(): Promise<string | undefined> {
    for (const { stdin } of this.#watches) stdin.write('flush\n');
    const ends = await Promise.all(this.#watches.map(({ exited }) => exited));
    const failed = this.#watches.filter((_, at) => ends[at]?.code !== 0);
    return failed.length === 0 ? undefined : failed.map((each) => each.stderr().trim()).join(', ');
  }

  stop(): void {
    for (const { stdin } of this.#watches) stdin.destroy();
  }
}

async function opened(host: Host, path: string, signal: AbortSignal): Promise<HostProcess> {
  const watch = await host.spawn(['/bin/sh', '-c', WATCH, 'sh', path], { signal });
  if ((await firstWords(watch)) !== undefined) return watch;
  const detail = watch.stderr().trim();
  throw new FileError({ code: errnoOf(detail), host: host.name, operation: 'open', path, detail });
}

/** Holds the images of an increment open, whose job cannot have ended before this returns. @throws FileError, HostError */
export async function watchArrival(
  scene: Pick<BackupScene, 'host' | 'record' | 'memory' | 'signal'>,
): Promise<void> {
  const { host, memory, signal } = scene;
  const { directory, point, disks } = scene.record;
  const paths = disks.map(({ images: [{ path }] }) => join(pointPath(directory, point), path));
  memory.arrival?.stop();
  memory.arrived = false;
  memory.arrival = await Arrival.of(host, paths, signal);
}

/**
 * Brings what was written to an increment to stable storage. If that fails, the increment has; if nobody can know, it counts as
 * one whose end nobody saw.
 *
 * @throws HostError
 */
export async function flushIncrement({ memory }: BackupScene): Promise<void> {
  const { arrival } = memory;
  if (arrival === undefined || arrival.isLost) {
    memory.witnessed = 'nothing';
    delete memory.jobSeen;
    return;
  }
  const failed = await arrival.complete();
  if (failed === undefined) memory.arrived = true;
  else memory.witnessed = { failed: `not all of it reached its storage: ${failed}` };
}
