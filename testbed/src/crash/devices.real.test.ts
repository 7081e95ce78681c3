// A chain that becomes one image on a block device, in layers, with deaths at every step: the guest's disk is whole.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { loopDevice } from '../faults/block-device.ts';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { run } from '../process/run.ts';
import { until } from '../process/until.ts';
import { type Berth, type BerthOptions, makeBerth, startHarbour } from './berth.ts';
import { ends } from './endings.ts';
import type { Halt } from './ferry.ts';
import { expectWhole } from './whole.ts';

let host: LibvirtHost;
beforeAll(async () => {
  host = await startHarbour();
});
afterAll(async () => {
  await host.stop();
});

/** A guest, and a device larger than its disk. */
class Quay implements AsyncDisposable {
  readonly berth: Berth;
  readonly device: string;
  /** What is in the berth's directory, by right. */
  #files: readonly string[] = [];

  constructor(berth: Berth, device: string) {
    this.berth = berth;
    this.device = device;
  }

  static async at(name: string, options: BerthOptions = {}): Promise<Quay> {
    const berth = await makeBerth(host, name, options);
    const path = join(host.imagesDir, `${name}.device`);
    await run(['truncate', '-s', String((options.size ?? 64n << 20n) + (8n << 20n)), path]);
    return new Quay(berth, (await loopDevice(host, path)).device);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.berth[Symbol.asyncDispose]();
  }

  async leave(options: readonly string[] = [], halt?: Halt) {
    this.#files = await this.berth.files();
    const layered = ['--flatten', '--strategy', 'layered', ...options];
    return this.berth.ferry(['move', this.berth.name, 'vda', this.device, ...layered], halt);
  }

  /** The guest is where it was, and nothing is left beside its images. */
  async stayed(what: string): Promise<void> {
    const besides = this.#files.map((name) => join(this.berth.directory, name));
    await expectWhole(this.berth, what, { on: this.berth.disk, besides, restart: false });
  }

  /** The guest is on the device, nothing is left beside its old images, and all it wrote comes along back to a file. */
  async arrived(what: string): Promise<void> {
    const { berth } = this;
    for (const which of [[], ['--inactive']]) {
      const xml = await berth.virsh('dumpxml', ...which);
      assert.match(xml, new RegExp(`<source dev='${this.device}'`), what);
    }
    assert.deepEqual(await berth.files(), this.#files, what);
    const home = berth.newPath();
    await ends(berth.move(home, ['--flatten', '--format', 'qcow2', '--strategy', 'mirror']), 'moved');
    const besides = this.#files.map((name) => join(berth.directory, name));
    await expectWhole(berth, what, { on: home, besides, restart: false });
    await run(['rm', '--', ...besides]);
  }
}

/** The steps in which a device is not as a file is; `layered-sweep` dies after each. */
const DIES = {
  resume: ['claim-files', 'copy-layers', 'finish-leg', 'start-leg#2', 'finish-leg#2', 'clear'],
  abort: ['claim-files', 'copy-layers', 'start-leg', 'finish-leg'],
} as const;

describe.concurrent('blockferry killed after a step', () => {
  for (const way of ['resume', 'abort'] as const) {
    it(`ends whole by ${way}`, async () => {
      await using quay = await Quay.at(`killed-${way}`);
      for (const step of DIES[way]) {
        const what = `after ${step}, then ${way}`;
        await (await quay.leave([], { at: 'step-done', name: step })).diedAfter(step);
        const { outcome, error } = await quay.berth[way]().result();
        if (outcome === 'back') {
          assert.equal(way, 'abort', what);
          await quay.stayed(what);
          continue;
        }
        const nothing = outcome === 'nothing' || error?.code === 'no-open-move';
        assert.ok(outcome === 'moved' || nothing, `${what}: ${outcome} ${JSON.stringify(error)}`);
        await quay.arrived(what);
      }
    }, 900_000);
  }
});

describe('QEMU killed as well', () => {
  it('goes on with the domain off', async () => {
    await using quay = await Quay.at('off');
    const { berth } = quay;
    for (const name of ['finish-leg', 'start-leg#2']) {
      await (await quay.leave([], { at: 'step-done', name })).diedAfter(name);
      await host.killQemu(berth.name);
      await until('it is off', async () => /shut off/.test(await berth.virsh('domstate')) || undefined);
      const { outcome, error } = await berth.resume().result();
      assert.equal(outcome, 'moved', `killed with QEMU after ${name}: ${JSON.stringify(error)}`);
      await berth.guest.start();
      await quay.arrived(`killed with QEMU after ${name}`);
    }
  }, 300_000);

  it('goes on with the domain started again', async () => {
    await using quay = await Quay.at('again');
    for (const name of ['copy-layers', 'start-leg#2']) {
      await (await quay.leave([], { at: 'step-done', name })).diedAfter(name);
      await host.killQemu(quay.berth.name);
      await quay.berth.guest.start();
      await ends(quay.berth.resume(), 'moved');
      await quay.arrived(`QEMU killed after ${name}, and started`);
    }
  }, 300_000);
});

it('libvirtd killed under the legs: the same blockferry carries on to the end', async () => {
  await using quay = await Quay.at('daemon');
  for (const name of ['finish-leg', 'start-leg#2']) {
    const ferry = await quay.leave([], { at: 'step-done', name, signal: 'SIGSTOP' });
    await ferry.halted(name);
    await host.restartLibvirtd();
    ferry.cont();
    await ends(ferry, 'moved');
    // What a libvirtd that died has left in QEMU goes with the next start.
    quay.berth.debris = true;
    await quay.arrived(`libvirtd killed after ${name}`);
  }
}, 300_000);

it('a guest that writes as fast as it can goes in rounds; killed in one, it goes on', async () => {
  await using quay = await Quay.at('rounds', { size: 128n << 20n, rate: 'max' });
  const slow = ['--bandwidth', '6M', '--guard', 'off'];
  await (await quay.leave(slow, { at: 'step-done', name: 'copy-layers#2' })).diedAfter('copy-layers#2');
  await ends(quay.berth.resume(), 'moved');
  await quay.arrived('killed in a round');
}, 300_000);
