// The way from one host to files on the other: a storage daemon there exports them through a unix socket, and ssh brings
// that socket over where the two are not the same machine.
import { dirname } from 'node:path';
import {
  type Forward,
  formatLocation,
  type Host,
  type NodeOptions,
  startStorageDaemon,
} from '@blockferry/qemu';
import type { LayerPlan } from '../layers/index.ts';

/** What a directory of ours needs for its name, so that a socket's path stays within 108 bytes. */
const DIRECTORY = '/tmp/blockferry-XXXXXXXX';

/** A socket at home that leads to the daemon there, once `export` has been through. */
export class Way implements AsyncDisposable {
  /** At home. */
  readonly socket: string;
  readonly #away: Host;
  readonly #directories: readonly (readonly [Host, string])[];
  readonly #there: string;
  readonly #home: Host;

  private constructor(home: Host, away: Host, [here, there]: readonly [string, string]) {
    this.#home = home;
    this.#away = away;
    this.#there = `${there}/nbd`;
    // On one machine nothing has to be brought anywhere.
    this.socket = home.isLocal && away.isLocal ? this.#there : `${here}/nbd`;
    this.#directories = [
      [home, here],
      [away, there],
    ];
  }

  /** Makes directories that nobody else may enter. @throws HostError */
  static async open(home: Host, away: Host): Promise<Way> {
    const [here, there] = [await makeDirectory(home), await makeDirectory(away)];
    return new Way(home, away, [here, there]);
  }

  /** Where an image that is exported there is found from home. */
  nameOf(at: number): {
    readonly kind: 'nbd';
    readonly server: { readonly socket: string };
    readonly export: string;
  } {
    return { kind: 'nbd', server: { socket: this.socket }, export: `copy-${at}` };
  }

  /**
   * Exports the copies, and leads there. What is written goes past the page cache of the other host, and what is read
   * comes from its storage.
   *
   * @throws StorageDaemonError, QmpCommandError, HostError
   */
  async export(plans: readonly LayerPlan[], signal: AbortSignal): Promise<AsyncDisposable> {
    const daemon = await startStorageDaemon(this.#away, { signal });
    const forwards: Forward[] = [];
    const close = async (): Promise<void> => {
      for (const forward of forwards.toReversed()) await forward[Symbol.asyncDispose]();
      await daemon.stop(signal.aborted ? 300 : 3_000);
    };
    try {
      const addr = { type: 'unix', data: { path: this.#there } } as const;
      await this.#away.unlink(this.#there);
      await daemon.qmp.execute('nbd-server-start', { addr });
      for (const plan of plans) {
        const { to, away } = plan;
        if (to.location.kind !== 'nbd' || away === undefined) continue;
        const name = to.location.export;
        await addNode(daemon.qmp, fileNode(name, formatLocation(away.file.location)));
        await daemon.qmp.execute('block-export-add', {
          type: 'nbd',
          id: name,
          name,
          'node-name': name,
          writable: true,
        });
      }
      await this.#lead(forwards);
    } catch (error) {
      await close();
      throw error;
    }
    return { [Symbol.asyncDispose]: close };
  }

  async #lead(forwards: Forward[]): Promise<void> {
    const brought = await this.#away.bring(this.#there);
    forwards.push(brought);
    if (this.socket === this.#there) return;
    await this.#home.unlink(this.socket);
    if (!this.#home.isLocal) forwards.push(await this.#home.expose(brought.socket, this.socket));
    else await link(this.#home, brought.socket, this.socket);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const [host, directory] of this.#directories) {
      await host.run(['rm', '-rf', '--', directory]).catch(() => {}); // a host that is gone has its own cleaning of /tmp
    }
  }
}

type Qmp = Awaited<ReturnType<typeof startStorageDaemon>>['qmp'];

/** Native AIO where the storage knows direct I/O. */
async function addNode(qmp: Qmp, node: NodeOptions): Promise<void> {
  try {
    await qmp.execute('blockdev-add', { ...node, aio: 'native', cache: { direct: true } });
  } catch {
    await qmp.execute('blockdev-add', { ...node, aio: 'threads' });
  }
}

function fileNode(name: string, filename: string): NodeOptions {
  const sparse = { discard: 'unmap', 'detect-zeroes': 'unmap' };
  return { driver: 'file', 'node-name': name, filename, ...sparse };
}

async function link(host: Host, target: string, path: string): Promise<void> {
  const { code, stderr } = await host.run(['ln', '-s', '--', target, path]);
  if (code !== 0) throw new Error(`${dirname(path)}: ${stderr.trim()}`);
}

async function makeDirectory(host: Host): Promise<string> {
  const { code, stdout, stderr } = await host.run(['mktemp', '-d', DIRECTORY]);
  if (code !== 0) throw new Error(`${host.name}: no directory in /tmp: ${stderr.trim()}`);
  return stdout.trim();
}
