// One running domain with a disk to move, in a directory of its own: the place where crashes are tried on it.
import { mkdir, readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { type Guest, type GuestSpec, guestWriter, startGuest } from '../guest/guest.ts';
import { type Chain, makeChain } from '../images/chain.ts';
import { type LibvirtHost, type LibvirtHostOptions, startLibvirtHost } from '../libvirt-host/host.ts';
import { type Ferry, type Halts, startFerry } from './ferry.ts';

const mebibyte = 1024n * 1024n;

export type BerthOptions = {
  /** Default true. */
  readonly persistent?: boolean;
  /** Marks the domain for autostart, which an undefine and define would lose. Default false. */
  readonly autostart?: boolean;
  /** Virtual size of the disk in bytes, a quarter of which the guest writes to; default 64 MiB. */
  readonly size?: bigint;
  /** Bytes in each image of the chain besides the guest's; default 4 MiB. */
  readonly fill?: bigint;
  /** Blocks a second the guest writes, each of which makes 64 KiB to copy again; default 30. */
  readonly rate?: number | 'max';
  /** Images of the chain, base first; default base and top. */
  readonly layers?: readonly string[];
  readonly spec?: Partial<GuestSpec>;
};

/**
 * A host on which several domains may be started at once: libvirt asks each QEMU binary what it can do at the first
 * need, and does it again for everyone who comes meanwhile.
 */
export async function startHarbour(options: LibvirtHostOptions = {}): Promise<LibvirtHost> {
  const host = await startLibvirtHost(options);
  await host.virsh('domcapabilities', '--virttype', 'qemu');
  return host;
}

/** Makes a chain and starts a guest on it that writes and flushes all the time. */
export async function makeBerth(host: LibvirtHost, name: string, options: BerthOptions = {}): Promise<Berth> {
  const directory = join(host.imagesDir, name);
  await mkdir(directory);
  const chain = await makeChain(directory, options.layers ?? ['base', 'top'], {
    fill: options.fill ?? 4n * mebibyte,
    ...(options.size !== undefined && { size: options.size }),
  });
  const guest = await startGuest(host, {
    name,
    disks: [{ path: chain.top.path, target: 'vda', format: 'qcow2' }],
    writers: [guestWriter('vda', chain.region, { rate: options.rate ?? 30 })],
    persistent: options.persistent ?? true,
    ...options.spec,
  });
  const berth = new Berth(host, name, directory, chain, guest, options);
  if (berth.autostart) await berth.virsh('autostart');
  return berth;
}

export class Berth implements AsyncDisposable {
  readonly host: LibvirtHost;
  readonly name: string;
  /** Nothing but this domain's images, and what moves leave there. */
  readonly directory: string;
  /** blockferry's notes on this machine. */
  readonly stateDirectory: string;
  readonly chain: Chain;
  readonly guest: Guest;
  readonly persistent: boolean;
  readonly autostart: boolean;
  /** The active image, as far as the last check proved it. */
  disk: string;
  /**
   * A libvirtd died under a block job of this QEMU, and may have left block nodes in it that nothing uses and nobody
   * knows of; they go with the next start.
   */
  debris = false;
  #moves = 0;

  constructor(
    host: LibvirtHost,
    name: string,
    directory: string,
    chain: Chain,
    guest: Guest,
    options: BerthOptions,
  ) {
    this.host = host;
    this.name = name;
    this.directory = directory;
    this.stateDirectory = join(host.directory, 'state', name);
    this.chain = chain;
    this.guest = guest;
    this.persistent = options.persistent ?? true;
    this.autostart = options.autostart ?? false;
    this.disk = chain.top.path;
  }

  /** Its guest stops: one that writes on takes a tenth of a processor from the tests that follow, or all of it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.guest.stop();
  }

  /** A name in the directory that was not used before. */
  newPath(): string {
    this.#moves += 1;
    return join(this.directory, `copy${this.#moves}.qcow2`);
  }

  /** `blockferry move` of the disk, with --shallow unless the options say --flatten. */
  move(destination: string, options: readonly string[] = [], halt?: Halts): Ferry {
    const scope = options.includes('--flatten') ? [] : ['--shallow'];
    return this.ferry(['move', this.name, 'vda', destination, ...scope, ...options], halt);
  }

  resume(options: readonly string[] = [], halt?: Halts): Ferry {
    return this.ferry(['resume', this.name, ...options], halt);
  }

  abort(options: readonly string[] = [], halt?: Halts): Ferry {
    return this.ferry(['abort', this.name, 'vda', ...options], halt);
  }

  pivot(halt?: Halts): Ferry {
    return this.ferry(['pivot', this.name, 'vda'], halt);
  }

  ferry(argv: readonly string[], halt?: Halts): Ferry {
    const { uri } = this.host;
    return startFerry(argv, { uri, stateDirectory: this.stateDirectory, ...(halt && { halt }) });
  }

  /** A new directory in the berth's, for a whole chain. */
  async newDirectory(): Promise<string> {
    this.#moves += 1;
    const path = join(this.directory, `to${this.#moves}`);
    await mkdir(path);
    return path;
  }

  /** All files in the directory and those below it, by their paths from it. */
  async files(): Promise<string[]> {
    const found = await readdir(this.directory, { recursive: true, withFileTypes: true });
    const files = found.filter((entry) => !entry.isDirectory());
    return files.map(({ parentPath, name }) => relative(this.directory, join(parentPath, name))).sort();
  }

  /** `blockferry move` of the whole chain into a directory, in layers. */
  moveLayers(directory: string, options: readonly string[] = [], halt?: Halts): Ferry {
    return this.ferry(['move', this.name, 'vda', directory, '--strategy', 'layered', ...options], halt);
  }

  /** `blockferry image` of the disk, without the guard, which would first listen to the guest for a while. */
  image(path: string, options: readonly string[] = [], halt?: Halts): Ferry {
    return this.ferry(['image', this.name, path, '--guard', 'off', ...options], halt);
  }

  virsh(verb: string, ...args: readonly string[]): Promise<string> {
    return this.host.virsh(verb, this.name, ...args);
  }
}
