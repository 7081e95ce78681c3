// A guest that writes and flushes while its disk is moved from place to place, and the proof after every move.
import { DomainXml, describeSource } from '@blockferry/libvirt';
import { type Guest, type GuestSpec, guestWriter, startGuest } from '../guest/guest.ts';
import type { VerifiedImage } from '../guest/verify.ts';
import { type Chain, type ChainOptions, makeChain } from '../images/chain.ts';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { agree, apartFrom, readTexts } from './definitions.ts';
import { type Ask, type Moved, Mover, type MoverOptions } from './mover.ts';
import { verifyWhilePaused } from './verify-paused.ts';

export type MovingGuestOptions = MoverOptions & {
  readonly name?: string;
  readonly layers?: readonly string[];
  readonly chain?: ChainOptions;
  readonly spec?: Partial<GuestSpec>;
};

/** 128 blocks: at 100 a second the guest overwrites, and so reads back, each of them every 1.3 s. */
const REGION_BYTES = 512n * 1024n;

/** Starts a guest whose disk vda is a chain in the host's images directory. */
export async function startMovingGuest(
  host: LibvirtHost,
  options: MovingGuestOptions = {},
): Promise<MovingGuest> {
  const { name = 'vm', layers = ['base', 'snap1', 'snap2'], spec } = options;
  const chain = await makeChain(host.imagesDir, layers, options.chain);
  const region = { offset: chain.region.offset, length: REGION_BYTES };
  const guest = await startGuest(host, {
    name,
    disks: [{ path: chain.top.path, target: 'vda', format: chain.top.format }],
    writers: [guestWriter('vda', region, { rate: 100 })],
    ...spec,
  });
  return new MovingGuest(host, guest, chain, new Mover(host, options));
}

/** Where a disk is after a move: how libvirt names it, and how its bytes can be read. */
export type Place = { readonly source: string; readonly format: string; readonly image: VerifiedImage };

export function fileAt(path: string, format: 'qcow2' | 'raw' = 'qcow2'): Place {
  return { source: path, format, image: { path, format } };
}

export class MovingGuest {
  readonly host: LibvirtHost;
  readonly guest: Guest;
  readonly chain: Chain;
  readonly mover: Mover;

  constructor(host: LibvirtHost, guest: Guest, chain: Chain, mover: Mover) {
    this.host = host;
    this.guest = guest;
    this.chain = chain;
    this.mover = mover;
  }

  get name(): string {
    return this.guest.name;
  }

  /**
   * Moves a disk (default vda) and proves what every move promises: both definitions name the place and are
   * otherwise what they were, byte for byte; no record is left; the guest writes on; and every write it was told is
   * flushed is in the image it is on now.
   * @throws {Error} naming the promise that was broken
   */
  async move(ask: Partial<Ask>, to: Place, disk = 'vda'): Promise<Moved> {
    const before = apartFrom(disk, await readTexts(this.host, this.name));
    const moved = await this.mover.move({ domain: this.name, disk, ...ask });
    if (moved.ending.kind !== 'moved') throw new Error(`not moved: ${said(moved)}`);
    await this.prove(before, to, disk);
    return moved;
  }

  async prove(before: Awaited<ReturnType<typeof readTexts>>, to: Place, disk = 'vda'): Promise<void> {
    const texts = await readTexts(this.host, this.name);
    const after = apartFrom(disk, texts);
    for (const key of ['live', 'persistent', 'autostart'] as const) {
      if (after[key] !== before[key])
        throw new Error(`${key} definition changed:\n${before[key]}\n--- now\n${after[key]}`);
    }
    if (!agree(disk, texts)) throw new Error(`the definitions disagree:\n${texts.live}\n${texts.persistent}`);
    const found = DomainXml.parse(texts.live).disk(disk);
    const name = found?.source && describeSource(found.source);
    if (name !== to.source || found?.driver.format !== to.format)
      throw new Error(`the disk is ${name} (${found?.driver.format}), not ${to.source}`);
    if (/blockferry/.test(`${texts.live}${texts.persistent}`.replaceAll(this.host.directory, '')))
      throw new Error(`a record is left:\n${texts.live}`);
    await this.proveWritesKept(to.image, disk);
  }

  /** The guest writes on, and all it was told is flushed is in `image`. */
  async proveWritesKept(image: VerifiedImage, disk = 'vda'): Promise<void> {
    const writer = this.guest.writers.find((each) => each.disk === disk);
    if (writer === undefined) return;
    await this.guest.waitForWrites(50, { disk });
    const { checked, lost } = await verifyWhilePaused(this.guest, image, disk);
    if (checked === 0 || lost.length > 0)
      throw new Error(`${lost.length} of ${checked} lost: ${JSON.stringify(lost.slice(0, 3))}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mover.close();
  }
}

function said({ ending, reports }: Moved): string {
  const show = (_: string, value: unknown) => (typeof value === 'bigint' ? `${value}` : value);
  return `${JSON.stringify(ending, show)}\n${reports.map((one) => JSON.stringify(one, show)).join('\n')}`;
}
