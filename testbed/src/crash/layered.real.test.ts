// Whole chains moved in layers while the guest writes: in peace, and through deaths of QEMU.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { type Guest, guestWriter, startGuest } from '../guest/guest.ts';
import { verifyAcknowledged } from '../guest/verify.ts';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { run } from '../process/run.ts';
import { until } from '../process/until.ts';
import { type Berth, makeBerth, startHarbour } from './berth.ts';
import { ends } from './endings.ts';
import { expectLayersMoved } from './layered-moves.ts';
import { chainOf, expectWhole } from './whole.ts';

const CHAIN = { layers: ['base', 'snap1', 'snap2'] } as const;

let host: LibvirtHost;
beforeAll(async () => {
  host = await startHarbour();
});
afterAll(async () => {
  await host.stop();
});

describe('a chain of three images', () => {
  it('goes to another directory in its shape, and back, and nothing is lost', async () => {
    await using berth = await makeBerth(host, 'chain', CHAIN);
    for (const what of ['there', 'on']) {
      const before = await chainOf(berth.disk);
      const directory = await berth.newDirectory();
      const { freezeMs, verifiedBytes } = await ends(berth.moveLayers(directory), 'moved');
      assert.ok(
        (freezeMs ?? 0) > 0 && (verifiedBytes ?? 0) > 0,
        'the result tells of freezing and reading back',
      );
      await expectLayersMoved(berth, what, before, directory);
    }
  });

  it('goes under a guest that writes as fast as it can', async () => {
    await using berth = await makeBerth(host, 'fast', { ...CHAIN, rate: 'max' });
    const before = await chainOf(berth.disk);
    const directory = await berth.newDirectory();
    await ends(berth.moveLayers(directory), 'moved');
    await expectLayersMoved(berth, 'fast', before, directory);
    await berth.guest.stop();
  });

  it('is held at ready, and pivoted later', async () => {
    await using berth = await makeBerth(host, 'held', CHAIN);
    const before = await chainOf(berth.disk);
    const directory = await berth.newDirectory();
    await ends(berth.moveLayers(directory, ['--hold']), 'ready');
    await ends(berth.pivot(), 'moved');
    await expectLayersMoved(berth, 'held', before, directory);
  });
});

it('a base that two domains share is copied once', async () => {
  await using berth = await makeBerth(host, 'shared', CHAIN);
  const [, , base = ''] = await chainOf(berth.disk);
  const clone = join(berth.directory, 'clone.qcow2');
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', clone]);
  const disks = [{ path: clone, target: 'vda', format: 'qcow2' }] as const;
  const writers = [guestWriter('vda', berth.chain.region, { rate: 30 })];
  const guest = await startGuest(host, { name: 'clone', disks, writers });
  const directory = await berth.newDirectory();
  await ends(berth.moveLayers(directory), 'moved');
  const second = berth.ferry(['move', 'clone', 'vda', directory, '--strategy', 'layered']);
  assert.match(await second.warning('shared-base'), /base\.qcow2 was copied and verified before/);
  await ends(second, 'moved');
  const copies = [join(directory, 'clone.qcow2'), join(directory, 'base.qcow2')];
  assert.deepEqual(await chainOf(copies[0] ?? ''), copies);
  await guest.waitForWrites(10);
  const { lost } = await verifyAfter(guest, copies[0] ?? '');
  assert.deepEqual(lost, []);
});

async function verifyAfter(guest: Guest, path: string) {
  await guest.stop();
  return verifyAcknowledged({ path, format: 'qcow2' }, await guest.acknowledged());
}

it('a domain that is off is moved by the same command', async () => {
  await using berth = await makeBerth(host, 'cold', CHAIN);
  const before = await chainOf(berth.disk);
  const directory = await berth.newDirectory();
  await berth.guest.stop();
  await ends(berth.ferry(['move', berth.name, 'vda', directory]), 'moved');
  await expectLayersMoved(berth, 'cold', before, directory, { running: false });
});

/** Returns when libvirt knows. */
async function killQemu(berth: Berth): Promise<void> {
  await host.killQemu(berth.name);
  await until('the domain is off', async () => /shut off/.test(await berth.virsh('domstate')) || undefined);
}

describe('QEMU killed', () => {
  it('while the layers are copied: the copy goes on, the domain being off, and the definition follows', async () => {
    await using berth = await makeBerth(host, 'off', CHAIN);
    const before = await chainOf(berth.disk);
    const directory = await berth.newDirectory();
    const ferry = berth.moveLayers(directory, ['--bandwidth', '2M']);
    await ferry.step('copy-layers');
    await killQemu(berth);
    await ends(ferry, 'moved');
    await expectLayersMoved(berth, 'off', before, directory, { running: false });
  });

  it('while the layers are copied, and started again: the move goes on live', async () => {
    await using berth = await makeBerth(host, 'again', CHAIN);
    const before = await chainOf(berth.disk);
    const directory = await berth.newDirectory();
    const ferry = berth.moveLayers(directory, ['--bandwidth', '2M']);
    await ferry.step('copy-layers');
    await killQemu(berth);
    await berth.guest.start();
    await ends(ferry, 'moved');
    await expectLayersMoved(berth, 'again', before, directory);
  });

  it('while the layers are copied: abort gives the overlay back to its image', async () => {
    await using berth = await makeBerth(host, 'undone', CHAIN);
    const ferry = berth.moveLayers(await berth.newDirectory(), ['--bandwidth', '2M']);
    await ferry.step('copy-layers');
    await ferry.kill();
    await killQemu(berth);
    await ends(berth.abort(), 'back');
    await expectWhole(berth, 'undone', { on: berth.disk, running: false });
  });

  it('with blockferry and libvirtd, while the layers are copied: resume copies what is missing', async () => {
    await using own = await startHarbour();
    await using berth = await makeBerth(own, 'all', CHAIN);
    const before = await chainOf(berth.disk);
    const directory = await berth.newDirectory();
    const ferry = berth.moveLayers(directory, ['--bandwidth', '2M']);
    await ferry.step('copy-layers');
    await ferry.kill();
    await own.killLibvirtd();
    await own.killQemu(berth.name);
    await own.restartLibvirtd();
    await ends(berth.resume(), 'moved');
    await expectLayersMoved(berth, 'all', before, directory, { running: false });
  });

  it('while it is held at ready: it is ready again when the domain runs again', async () => {
    await using berth = await makeBerth(host, 'ready', CHAIN);
    const before = await chainOf(berth.disk);
    const directory = await berth.newDirectory();
    await ends(berth.moveLayers(directory, ['--hold']), 'ready');
    await killQemu(berth);
    await berth.guest.start();
    await ends(berth.pivot(), 'moved');
    await expectLayersMoved(berth, 'ready', before, directory);
  });

  it('somebody else ends the copy: it is said, and the move can be undone', async () => {
    await using berth = await makeBerth(host, 'foreign', CHAIN);
    await ends(berth.moveLayers(await berth.newDirectory(), ['--hold']), 'ready');
    await berth.virsh('blockjob', 'vda', '--abort');
    await ends(berth.abort(), 'back');
    await expectWhole(berth, 'foreign', { on: berth.disk });
  });
});
