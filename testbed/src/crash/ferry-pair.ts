// Two hosts and a guest that is migrated to and fro between them, by blockferry processes that may be killed.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DomainXml } from '@blockferry/libvirt';
import { type Guest, guestWriter, startGuest } from '../guest/guest.ts';
import { lostOnDisk, type VerifiedImage, verifyAcknowledged } from '../guest/verify.ts';
import { makeChain } from '../images/chain.ts';
import { type LibvirtHost, startLibvirtHost } from '../libvirt-host/host.ts';
import { until } from '../process/until.ts';
import { type Ferry, type Halts, startFerry } from './ferry.ts';

const mebibyte = 1024n * 1024n;

export type FerryPairOptions = {
  /** Bytes in each image of the chain besides the guest's; default 4 MiB. */
  readonly fill?: bigint;
  /** Blocks a second the guest writes. */
  readonly rate: number;
};

/** Starts both hosts, and the guest on the first of them, on a chain of two images. */
export async function startFerryPair(options: FerryPairOptions): Promise<FerryPair> {
  const hosts = await Promise.all(['bf-one', 'bf-two'].map((name) => startLibvirtHost({ name })));
  const [one, two] = hosts;
  assert.ok(one !== undefined && two !== undefined);
  const state = await mkdtemp(join(tmpdir(), 'bf-state-'));
  const chain = await makeChain(one.imagesDir, ['base', 'top'], { fill: options.fill ?? 4n * mebibyte });
  const guest = await startGuest(one, {
    name: 'vm',
    disks: [{ ...chain.top, target: 'vda' }],
    writers: [guestWriter('vda', chain.region, { rate: options.rate })],
  });
  return new FerryPair(one, two, guest, state);
}

/** The active image in this directory, whose guest is suspended. */
export type ImageIn = (directory: string) => VerifiedImage;

const plainIn: ImageIn = (directory) => {
  const file = { driver: 'file', filename: join(directory, 'top.qcow2') };
  return { node: { driver: 'qcow2', 'force-share': true, file } };
};

export class FerryPair {
  home: LibvirtHost;
  away: LibvirtHost;
  readonly guest: Guest;
  readonly stateDirectory: string;
  readonly #imageIn: ImageIn;

  /** @param imageIn how its images are opened, base.qcow2 and top.qcow2; default plain */
  constructor(
    home: LibvirtHost,
    away: LibvirtHost,
    guest: Guest,
    stateDirectory: string,
    imageIn: ImageIn = plainIn,
  ) {
    this.home = home;
    this.away = away;
    this.guest = guest;
    this.stateDirectory = stateDirectory;
    this.#imageIn = imageIn;
  }

  migrate(options: readonly string[] = [], halt?: Halts): Ferry {
    return this.migrateTo(this.away.imagesDir, options, halt);
  }

  migrateTo(directory: string, options: readonly string[] = [], halt?: Halts): Ferry {
    const { home, away } = this;
    const to = ['--dest-dir', directory, '--migrateuri', 'tcp://127.0.0.1'];
    return this.#ferry(home, ['migrate', 'vm', away.uri, '--guard', 'off', ...to, ...options], halt);
  }

  resume(from: 'home' | 'away' = 'home', halt?: Halts): Ferry {
    return this.#ferry(this[from], ['resume', 'vm'], halt);
  }

  abort(): Ferry {
    return this.command('home', ['abort', 'vm']);
  }

  command(on: 'home' | 'away', argv: readonly string[], halt?: Halts): Ferry {
    return this.#ferry(this[on], argv, halt);
  }

  /** The state of the domain on both hosts, as virsh says it; `none` where it is not known. */
  async states(): Promise<{ readonly home: string; readonly away: string }> {
    const state = async (host: LibvirtHost) =>
      (await host.virsh('domstate', 'vm').catch(() => 'none')).trim();
    return { home: await state(this.home), away: await state(this.away) };
  }

  /**
   * Proves that the guest runs, on this side and no other, on one complete chain of images that has every write it was told
   * was flushed; that both definitions agree; and that nothing of ours is left.
   */
  async expectWhole(what: string, on: 'home' | 'away'): Promise<void> {
    await this.expectWholeBut(what, on, []);
  }

  /** The same, where the destination has these files of somebody else. */
  async expectWholeBut(what: string, on: 'home' | 'away', others: readonly string[]): Promise<void> {
    const { home, away } = await this.states();
    const wanted = on === 'home' ? { home: 'running', away: 'none' } : { home: 'none', away: 'running' };
    assert.deepEqual({ home, away }, wanted, `${what}: where it runs`);
    const host = this[on];
    await this.guest.waitForWrites(20);
    const top = join(host.imagesDir, 'top.qcow2');
    for (const flags of [[], ['--inactive']]) {
      const source = DomainXml.parse(await host.virsh('dumpxml', 'vm', ...flags)).disk('vda')?.source;
      assert.equal(source?.kind === 'file' && source.path, top, `${what}: the definition ${flags.join()}`);
    }
    await host.virsh('suspend', 'vm');
    const { lost } = await verifyAcknowledged(this.#imageIn(host.imagesDir), await this.guest.acknowledged());
    await host.virsh('resume', 'vm');
    assert.deepEqual(lostOnDisk(lost), [], `${what}: lost writes`);
    await this.#expectNothingLeft(what, on, others);
  }

  async #expectNothingLeft(what: string, on: 'home' | 'away', others: readonly string[]): Promise<void> {
    const both = ['base.qcow2', 'top.qcow2'];
    assert.deepEqual((await readdir(this[on].imagesDir)).sort(), both, `${what}: files where it is`);
    const other = on === 'home' ? others : both;
    const there = on === 'home' ? this.away : this.home;
    assert.deepEqual((await readdir(there.imagesDir)).sort(), other, `${what}: files on the other side`);
    assert.deepEqual(await this.notes(), [], `${what}: notes`);
    const xml = await this[on].virsh('dumpxml', 'vm');
    assert.ok(!xml.includes('urn:blockferry'), `${what}: a record`);
  }

  /** Of what is open: what was left at home by a migration that is done does not count. */
  async notes(): Promise<string[]> {
    const names = await readdir(this.stateDirectory).catch(() => []);
    return names.filter((name) => !name.endsWith('.left'));
  }

  /** After a migration: the images that were left at home are removed, and home is where the guest is now. */
  async turn(): Promise<void> {
    for (const name of await readdir(this.home.imagesDir)) await rm(join(this.home.imagesDir, name));
    [this.home, this.away] = [this.away, this.home];
  }

  /** Starts a domain that is off on this side, once libvirt has noticed that its QEMU is gone. */
  async start(on: 'home' | 'away'): Promise<void> {
    await until('the end of QEMU', async () => ((await this.states())[on] === 'shut off' ? true : undefined));
    await this[on].virsh('start', 'vm');
    await this.guest.waitForWrites(1);
  }

  async stop(): Promise<void> {
    await Promise.all([this.home.stop(), this.away.stop()]);
    await rm(this.stateDirectory, { recursive: true, force: true });
  }

  #ferry(host: LibvirtHost, argv: readonly string[], halt?: Halts): Ferry {
    const { stateDirectory } = this;
    return startFerry(argv, { uri: host.uri, stateDirectory, ...(halt !== undefined && { halt }) });
  }
}
