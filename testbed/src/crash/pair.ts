// A running domain with two disks to move as one, the guest writing to both; and what must be true of it afterwards.
import assert from 'node:assert/strict';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { DomainXml } from '@blockferry/libvirt';
import { type Guest, guestWriter, startGuest } from '../guest/guest.ts';
import { verifyAcknowledged } from '../guest/verify.ts';
import { makeChain } from '../images/chain.ts';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { type Ferry, type Halt, startFerry } from './ferry.ts';
import { chainOf } from './whole.ts';

/** Target dev, and the path of its active image. */
export type Places = Readonly<Record<'vda' | 'vdb', string>>;

const TARGETS = ['vda', 'vdb'] as const;
const BLOCKS_A_SECOND = 20;

/** An empty CD-ROM drive, which moves nowhere. */
const DRIVE = `<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>`;

/** Starts a guest that writes and flushes on two disks, each a chain of two images. */
export async function makePair(host: LibvirtHost, name: string): Promise<Pair> {
  const directory = join(host.imagesDir, name);
  await mkdir(directory);
  const chains = {
    vda: await makeChain(directory, ['system-base', 'system'], { fill: 2n << 20n }),
    vdb: await makeChain(directory, ['data-base', 'data'], { fill: 4n << 20n }),
  };
  const guest = await startGuest(host, {
    name,
    disks: TARGETS.map((target) => ({ path: chains[target].top.path, target, format: 'qcow2' })),
    writers: TARGETS.map((target) => {
      const { offset } = chains[target].region;
      return guestWriter(target, { offset, length: 1n << 20n }, { rate: BLOCKS_A_SECOND });
    }),
    extraDevices: DRIVE,
  });
  return new Pair(host, name, directory, guest, {
    vda: chains.vda.top.path,
    vdb: chains.vdb.top.path,
  });
}

export class Pair {
  readonly host: LibvirtHost;
  readonly name: string;
  readonly directory: string;
  readonly stateDirectory: string;
  readonly guest: Guest;
  /** The active images, as far as the last check proved them. */
  places: Places;
  #moves = 0;

  constructor(host: LibvirtHost, name: string, directory: string, guest: Guest, places: Places) {
    this.host = host;
    this.name = name;
    this.directory = directory;
    this.stateDirectory = join(host.directory, 'state', name);
    this.guest = guest;
    this.places = places;
  }

  async newDirectory(): Promise<string> {
    this.#moves += 1;
    const path = join(this.directory, `to${this.#moves}`);
    await mkdir(path);
    return path;
  }

  /** Without the guard, which would first listen to the guest for a while. */
  moveAll(directory: string, options: readonly string[] = [], halt?: Halt): Ferry {
    return this.ferry(['move', this.name, '--all', directory, '--guard', 'off', ...options], halt);
  }

  /** Copies of both at one instant, by the engine. */
  copyAll(directory: string, halt?: Halt): Ferry {
    const { uri } = this.host;
    const { stateDirectory } = this;
    return startFerry([this.name, directory], {
      uri,
      stateDirectory,
      script: 'copies',
      ...(halt && { halt }),
    });
  }

  ferry(argv: readonly string[], halt?: Halt): Ferry {
    const { uri } = this.host;
    return startFerry(argv, { uri, stateDirectory: this.stateDirectory, ...(halt && { halt }) });
  }

  virsh(verb: string, ...args: readonly string[]): Promise<string> {
    return this.host.virsh(verb, this.name, ...args);
  }

  async state(): Promise<string> {
    return (await this.virsh('domstate')).trim();
  }

  /** Both disks are on copies in `directory`, in their shape. The old images are removed afterwards. */
  async expectMoved(what: string, directory: string, state = 'running'): Promise<void> {
    const { vda, vdb } = this.places;
    const before = [...(await chainOf(vda)), ...(await chainOf(vdb))];
    const places = { vda: join(directory, basename(vda)), vdb: join(directory, basename(vdb)) };
    await this.expectWhole(what, { places, besides: before, state });
    for (const path of before) await rm(path);
  }

  /**
   * Both disks are where they were, or at `places`; live and persistent definition agree; every acknowledged write of both
   * is there; no job, no record, no journal, no note and no file of ours is left; and nobody has paused the guest.
   */
  async expectWhole(
    what: string,
    whole: {
      readonly places?: Places;
      readonly besides?: readonly string[];
      readonly state?: string;
    } = {},
  ): Promise<void> {
    const { places = this.places, besides = [], state = 'running' } = whole;
    assert.equal(await this.state(), state, `${what}: the guest`);
    if (state === 'running') for (const disk of TARGETS) await this.guest.waitForWrites(2, { disk });
    await this.#expectDefinitions(what, places, state);
    if (state === 'running') await this.virsh('suspend');
    const files: string[] = [...besides];
    for (const disk of TARGETS) {
      files.push(...(await chainOf(places[disk])));
      await this.#expectNothingLost(what, disk, places[disk]);
    }
    if (state === 'running') await this.virsh('resume');
    const found = await readdir(this.directory, { recursive: true, withFileTypes: true });
    const there = found.filter((entry) => !entry.isDirectory());
    const paths = there.map((entry) => join(entry.parentPath, entry.name));
    assert.deepEqual(new Set(paths), new Set(files), `${what}: no file is there that should not be`);
    assert.deepEqual(await readdir(this.stateDirectory).catch(() => []), [], `${what}: no note is left`);
    this.places = places;
  }

  async #expectDefinitions(what: string, places: Places, state: string): Promise<void> {
    const texts = [await this.virsh('dumpxml', '--inactive')];
    if (state !== 'shut off') texts.push(await this.virsh('dumpxml'));
    for (const text of texts) {
      assert.doesNotMatch(text, /urn:blockferry/, `${what}: no record is left`);
      const xml = DomainXml.parse(text);
      for (const target of TARGETS) {
        const { source, mirror } = xml.disk(target) ?? {};
        assert.equal(source?.kind === 'file' && source.path, places[target], `${what}: ${target}`);
        assert.equal(mirror, undefined, `${what}: no mirror is left`);
      }
    }
  }

  async #expectNothingLost(what: string, disk: string, path: string): Promise<void> {
    const said = await this.guest.acknowledged(disk);
    assert.deepEqual(said.errors, [], `${what}: ${disk} never failed`);
    const file = { driver: 'file', filename: path };
    const node = { driver: 'qcow2', 'read-only': true, 'force-share': true, file };
    const { checked, lost } = await verifyAcknowledged({ node }, said);
    assert.deepEqual(lost, [], `${what}: every acknowledged write of ${disk} is there`);
    assert.ok(checked > 0, `${what}: there was something to lose`);
  }
}
