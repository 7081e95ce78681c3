// A guest that writes so much while its chain is copied that its overlay is frozen too: in peace, killed, and undone.
import assert from 'node:assert/strict';
import { afterAll, beforeAll, it } from 'vitest';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { until } from '../process/until.ts';
import { type Berth, makeBerth, startHarbour } from './berth.ts';
import { ends } from './endings.ts';
import { expectLayersMoved } from './layered-moves.ts';
import { chainOf, expectWhole } from './whole.ts';

let host: LibvirtHost;
let berth: Berth;
beforeAll(async () => {
  host = await startHarbour();
  berth = await makeBerth(host, 'rounds', {
    layers: ['base', 'snap1', 'snap2'],
    size: 128n << 20n,
    rate: 'max',
  });
});
afterAll(async () => {
  await host.stop();
});

/** So slow that the guest has written over its whole region before the chain is copied. */
const SLOW = ['--bandwidth', '6M', '--guard', 'off'];

it('goes in rounds, and then ends by synchronous writes', async () => {
  const before = await chainOf(berth.disk);
  const directory = await berth.newDirectory();
  const ferry = berth.moveLayers(directory, SLOW);
  await ends(ferry, 'moved');
  assert.ok(ferry.passed('step-done').includes('freeze#2'));
  await expectLayersMoved(berth, 'in rounds', before, directory);
});

for (const step of ['claim-files#2', 'copy-layers#2']) {
  it(`killed after ${step}, in a round, it goes on by resume`, async () => {
    const before = await chainOf(berth.disk);
    const directory = await berth.newDirectory();
    await berth.moveLayers(directory, SLOW, { at: 'step-done', name: step }).diedAfter(step);
    await ends(berth.resume(), 'moved');
    await expectLayersMoved(berth, `killed after ${step}`, before, directory, { restart: false });
  });
}

it('killed after the freeze of a round, it is undone through both overlays', async () => {
  await berth
    .moveLayers(await berth.newDirectory(), SLOW, { at: 'step-done', name: 'freeze#2' })
    .diedAfter('freeze#2');
  await ends(berth.abort(), 'back');
  await expectWhole(berth, 'undone', { on: berth.disk });
});

it('killed in a round with QEMU, it goes on with the domain off', async () => {
  const before = await chainOf(berth.disk);
  const directory = await berth.newDirectory();
  await berth
    .moveLayers(directory, SLOW, { at: 'step-done', name: 'copy-layers#2' })
    .diedAfter('copy-layers#2');
  await host.killQemu(berth.name);
  await until('the domain is off', async () => /shut off/.test(await berth.virsh('domstate')) || undefined);
  await ends(berth.resume(), 'moved');
  await expectLayersMoved(berth, 'cold', before, directory, { running: false });
});
