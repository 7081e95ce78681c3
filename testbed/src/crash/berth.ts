// One running domain with a disk to move, in a directory of its own: the place where crashes are tried on it.
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { MoveRequest } from '@blockferry/engine';
import { type Guest, type GuestSpec, guestWriter, startGuest } from '../guest/guest.ts';
import { type Chain, makeChain } from '../images/chain.ts';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { type Ferry, startFerry } from './ferry.ts';
import type { FerryVerb, Halt } from './protocol.ts';

const mebibyte = 1024n * 1024n;

export type BerthOptions = {
  /** Default true. */
  readonly persistent?: boolean;
  /** Bytes in each image of the chain besides the guest's; default 4 MiB. */
  readonly fill?: bigint;
  /** Blocks a second the guest writes; default 100. */
  readonly rate?: number | 'max';
  /** Images of the chain, base first; default base and top. */
  readonly layers?: readonly string[];
  readonly spec?: Partial<GuestSpec>;
};

/** What a move is asked for, beyond the default: shallow, pivot when ready. */
export type Wish = Omit<Partial<MoveRequest>, 'options'> & { readonly options?: Partial<MoveRequest['options']> };

/** Makes a chain and starts a guest on it that writes and flushes all the time. */
export async function makeBerth(
  host: LibvirtHost,
  name: string,
  options: BerthOptions = {},
): Promise<Berth> {
  const directory = join(host.imagesDir, name);
  await mkdir(directory);
  const chain = await makeChain(directory, options.layers ?? ['base', 'top'], {
    fill: options.fill ?? 4n * mebibyte,
  });
  const guest = await startGuest(host, {
    name,
    disks: [{ path: chain.top.path, target: 'vda', format: 'qcow2' }],
    writers: [guestWriter('vda', chain.region, { rate: options.rate ?? 100 })],
    persistent: options.persistent ?? true,
    ...options.spec,
  });
  return new Berth(host, name, directory, chain, guest, options.persistent ?? true);
}

export class Berth {
  readonly host: LibvirtHost;
  readonly name: string;
  /** Nothing but this domain's images, and what moves leave there. */
  readonly directory: string;
  /** blockferry's notes on this machine. */
  readonly stateDirectory: string;
  readonly chain: Chain;
  readonly guest: Guest;
  readonly persistent: boolean;
  #moves = 0;

  constructor(
    host: LibvirtHost,
    name: string,
    directory: string,
    chain: Chain,
    guest: Guest,
    persistent: boolean,
  ) {
    this.host = host;
    this.name = name;
    this.directory = directory;
    this.stateDirectory = join(host.directory, 'state', name);
    this.chain = chain;
    this.guest = guest;
    this.persistent = persistent;
  }

  /** A name in the directory that was not used before. */
  newPath(): string {
    this.#moves += 1;
    return join(this.directory, `copy${this.#moves}.qcow2`);
  }

  move(destination: string, wish: Wish = {}, halt?: Halt): Ferry {
    const request: MoveRequest = {
      domain: this.name,
      disk: 'vda',
      destination,
      scope: 'shallow',
      reuseExternal: false,
      hold: false,
      undefine: false,
      ...wish,
      options: { synchronousWrites: false, converge: false, deleteSource: false, ...wish.options },
    };
    return this.ferry({ verb: 'move', request }, halt);
  }

  resume(use?: 'source' | 'destination', halt?: Halt): Ferry {
    return this.ferry({ verb: 'resume', domain: this.name, ...(use && { use }) }, halt);
  }

  abort(options: { readonly keep?: boolean } = {}, halt?: Halt): Ferry {
    return this.ferry({ verb: 'abort', domain: this.name, ...options }, halt);
  }

  pivot(halt?: Halt): Ferry {
    return this.ferry({ verb: 'pivot', domain: this.name }, halt);
  }

  ferry(verb: FerryVerb, halt?: Halt): Ferry {
    const { uri } = this.host;
    return startFerry({ ...verb, uri, stateDirectory: this.stateDirectory, ...(halt && { halt }) });
  }

  /** Names of all files in the directory. */
  async files(): Promise<string[]> {
    return (await readdir(this.directory)).sort();
  }

  virsh(verb: string, ...args: readonly string[]): Promise<string> {
    return this.host.virsh(verb, this.name, ...args);
  }
}
