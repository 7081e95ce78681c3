// A Ceph that hangs under a move, and processes that die in it: the guest never notices, and no image is left.
import assert from 'node:assert/strict';
import { afterAll, afterEach, beforeAll, describe, it } from 'vitest';
import { type CephCluster, startCeph } from '../ceph/cluster.ts';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { type Berth, makeBerth, startHarbour } from './berth.ts';
import { ends } from './endings.ts';
import { expectWhole } from './whole.ts';

let host: LibvirtHost;
let berth: Berth;
let ceph: CephCluster;
beforeAll(async () => {
  host = await startHarbour();
  [berth, ceph] = await Promise.all([makeBerth(host, 'ceph'), startCeph({ parent: host.directory })]);
});
afterAll(async () => {
  await host?.stop();
  await ceph?.stop();
});
// One failure must not make the next: whatever is still open then is undone.
afterEach(async () => {
  await ceph.resume();
  await berth.abort().gone();
});

const move = (name: string, ...options: readonly string[]) =>
  berth.move(ceph.uri(name), ['--flatten', ...options]);
const unlimited = () => berth.virsh('blockjob', 'vda', '--bandwidth', '0');

/** From Ceph to a new file beside the others, where the proof looks. */
async function moveHome(what: string): Promise<void> {
  const left = await berth.files();
  const home = berth.newPath();
  const { outcome, error } = await berth.move(home, ['--flatten', '--format', 'qcow2']).result();
  assert.equal(outcome, 'moved', JSON.stringify(error));
  const besides = left.map((name) => `${berth.directory}/${name}`);
  await expectWhole(berth, what, { on: home, besides, restart: false });
}

/** The guest is where it was, and Ceph has no image. */
async function undone(what: string): Promise<void> {
  assert.deepEqual(await ceph.images(), []);
  const besides = (await berth.files()).map((name) => `${berth.directory}/${name}`);
  await expectWhole(berth, what, { on: berth.disk, besides, restart: false });
}

describe('a Ceph that hangs', () => {
  it('while copying: is named, does not hold the guest up, and the move can be undone', async () => {
    const ferry = move('hangs', '--bandwidth', '1M');
    await ferry.copying();
    await ceph.pause();
    assert.match(await ferry.warning('destination-silent'), /does not answer.*abort/s);
    await berth.guest.waitForWrites(60);
    const abort = berth.abort();
    await abort.warning('waits-for-another');
    await berth.guest.waitForWrites(60);
    await ceph.resume();
    await ends(abort, 'back');
    await ends(ferry, 'back', 1);
    await undone('hung while copying');
  });

  it('when ready: the pivot is not ordered before it answers', async () => {
    assert.equal((await move('ready', '--hold').result()).outcome, 'ready');
    await ceph.pause();
    const pivot = berth.pivot();
    await pivot.warning('destination-silent');
    await berth.guest.waitForWrites(60);
    assert.ok(!pivot.lines.some((line) => line.type === 'step' && line.step === 'pivot'));
    await ceph.resume();
    assert.equal((await pivot.result()).outcome, 'moved');
    await moveHome('hung at the pivot');
    await ceph.rbd('rm', 'rbd/ready');
  });
});

describe('a death on the way to Ceph', () => {
  it('of blockferry after any step: resume finishes', async () => {
    const steps = ['claim-destination', 'start-copy', 'pivot'];
    for (const name of steps) {
      await berth.move(ceph.uri(name), ['--flatten'], { at: 'step-done', name }).diedAfter(name);
      const { outcome, error } = await berth.resume().result();
      assert.equal(outcome, 'moved', JSON.stringify(error));
    }
    await moveHome('died on the way');
    for (const name of steps) await ceph.rbd('rm', `rbd/${name}`);
  });

  it.each(['claim-destination', 'start-copy'])(
    'of blockferry after %s: abort leaves no image',
    async (name) => {
      await berth.move(ceph.uri(name), ['--flatten'], { at: 'step-done', name }).diedAfter(name);
      assert.equal((await berth.abort().result()).outcome, 'back');
      await undone(`aborted after ${name}`);
    },
  );

  it('of QEMU: resume copies again onto the same image, whatever is in it', async () => {
    const ferry = move('again', '--bandwidth', '1M');
    await ferry.copying();
    await host.killQemu(berth.name);
    assert.equal((await ferry.result()).outcome, 'interrupted');
    await berth.guest.start();
    const resumed = berth.resume();
    await resumed.copying();
    await unlimited();
    assert.equal((await resumed.result()).outcome, 'moved');
    await moveHome('QEMU died');
    await ceph.rbd('rm', 'rbd/again');
  });

  it('of QEMU: abort waits until Ceph has forgotten it, and leaves no image', async () => {
    const ferry = move('forgotten', '--bandwidth', '1M');
    await ferry.copying();
    await host.killQemu(berth.name);
    await ferry.gone();
    assert.equal((await berth.abort().result()).outcome, 'back');
    assert.deepEqual(await ceph.images(), []);
    await berth.guest.start();
    await undone('QEMU died, aborted');
  });
});

describe('in layers', () => {
  const layers = (name: string, ...options: readonly string[]) =>
    berth.ferry([
      'move',
      berth.name,
      'vda',
      ceph.uri(name),
      '--flatten',
      '--strategy',
      'layered',
      ...options,
    ]);
  const killed = async (name: string) => {
    const options = ['--flatten', '--strategy', 'layered'];
    const halt = { at: 'step-done', name } as const;
    await berth.ferry(['move', berth.name, 'vda', ceph.uri('layers'), ...options], halt).diedAfter(name);
  };
  it('blockferry dies after a step in which Ceph has a part: resume finishes', async () => {
    for (const step of ['claim-files', 'copy-layers', 'finish-leg', 'start-leg#2', 'finish-leg#2']) {
      await killed(step);
      const { outcome, error } = await berth.resume().result();
      assert.equal(outcome, 'moved', `${step}: ${JSON.stringify(error)}`);
      await moveHome(`in layers, died after ${step}`);
      await ceph.rbd('rm', 'rbd/layers');
    }
  }, 300_000);

  it('blockferry dies before the switch: abort leaves no image', async () => {
    for (const step of ['claim-files', 'copy-layers', 'start-leg']) {
      await killed(step);
      assert.equal((await berth.abort().result()).outcome, 'back', step);
      await undone(`in layers, aborted after ${step}`);
    }
  }, 300_000);

  it('QEMU dies on the way: it goes on with the domain off', async () => {
    for (const step of ['copy-layers', 'start-leg#2']) {
      await killed(step);
      await host.killQemu(berth.name);
      const { outcome, error } = await berth.resume().result();
      assert.equal(outcome, 'moved', `${step}: ${JSON.stringify(error)}`);
      await berth.guest.start();
      await moveHome(`in layers, QEMU died after ${step}`);
      await ceph.rbd('rm', 'rbd/layers');
    }
  }, 300_000);

  it('Ceph hangs when all is ready: the guest writes on, and is not switched before it answers', async () => {
    assert.equal((await layers('layers', '--hold').result()).outcome, 'ready');
    await ceph.pause();
    const pivot = berth.pivot();
    await pivot.warning('destination-silent');
    await berth.guest.waitForWrites(60);
    assert.ok(!pivot.lines.some((line) => line.type === 'step' && line.step === 'finish-leg'));
    await ceph.resume();
    assert.equal((await pivot.result()).outcome, 'moved');
    await moveHome('hung at the switch');
    await ceph.rbd('rm', 'rbd/layers');
  });
});
