// Storage that runs out of room under a layered move, on either side: it is said before, and nothing is lost after.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { type SmallFileSystem, smallFileSystem } from '../faults/file-system.ts';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { until } from '../process/until.ts';
import { type Berth, makeBerth, startHarbour } from './berth.ts';
import { ends } from './endings.ts';
import type { Ferry } from './ferry.ts';
import { expectLayersMoved } from './layered-moves.ts';
import { chainOf, expectWhole } from './whole.ts';

const MiB = 1024n * 1024n;
const CHAIN = { layers: ['base', 'snap1', 'snap2'] } as const;

let host: LibvirtHost;
beforeAll(async () => {
  host = await startHarbour();
});
afterAll(async () => {
  await host.stop();
});

/** Of 64 MiB, of which a twentieth counts as nearly nothing. */
function storage(berth: Berth, name: string): Promise<SmallFileSystem> {
  return smallFileSystem(host, { bytes: 64n * MiB, name: `${berth.name}/${name}` });
}

async function unhurried(berth: Berth): Promise<void> {
  await berth.ferry(['bandwidth', berth.name, '0']).gone();
}

describe.concurrent('no room', () => {
  it('where the guest writes meanwhile: it is said, the guest stops, and goes on by itself when there is room', async () => {
    await using berth = await makeBerth(host, 'source', CHAIN);
    const before = await chainOf(berth.disk);
    const directory = await berth.newDirectory();
    const small = await storage(berth, 'meanwhile');
    const ferry = berth.moveLayers(directory, ['--overlay-dir', small.directory, '--bandwidth', '1M']);
    await ferry.step('copy-layers');
    await small.fillUp(MiB);
    assert.match(
      await ferry.warning('overlay-low'),
      /is nearly full .*undo what is under way.*: blockferry .*abort source$/s,
    );
    await ferry.warning('guest-stopped');
    assert.match(await berth.virsh('domstate', '--reason'), /paused \(I\/O error\)/);
    await small.makeRoom();
    await ferry.warning('guest-resumed');
    await unhurried(berth);
    await ends(ferry, 'moved');
    await expectLayersMoved(berth, 'source', before, directory, { restart: false });
    assert.deepEqual(await readdir(small.directory), ['lost+found'], 'no overlay is left');
  });

  it('at the destination, while the layers are copied: the copy waits before anything fails, and goes on', async () => {
    await using berth = await makeBerth(host, 'destination', CHAIN);
    const before = await chainOf(berth.disk);
    const small = await storage(berth, 'to');
    const ferry = berth.moveLayers(small.directory, ['--bandwidth', '1M']);
    await ferry.copying();
    await small.fillUp(2n * MiB);
    assert.match(await ferry.warning('waits-for-space'), /is nearly full, before anything has failed/);
    await standsStill(ferry);
    await berth.guest.waitForWrites(20);
    await small.makeRoom();
    await unhurried(berth);
    await ends(ferry, 'moved');
    await expectLayersMoved(berth, 'destination', before, small.directory, { restart: false });
    await abortsWithoutRoom(berth, small);
  });

  it('at the destination, for what the overlay holds: the guest stays where it is until there is room', async () => {
    await using berth = await makeBerth(host, 'overlay', CHAIN);
    const before = await chainOf(berth.disk);
    const small = await storage(berth, 'over');
    // Killed when all is copied: what comes then must fit as well.
    await berth.moveLayers(small.directory, [], { at: 'step-done', name: 'relink' }).gone();
    await small.fillUp(4n * MiB);
    await berth.guest.waitForWrites(60);
    const ferry = berth.resume();
    assert.match(await ferry.warning('waits-for-space'), /is nearly full/);
    await berth.guest.waitForWrites(20);
    await small.makeRoom();
    await ends(ferry, 'moved');
    await expectLayersMoved(berth, 'overlay', before, small.directory, { restart: false });
  });
});

/** Several reports after one another tell of the same bytes. */
async function standsStill(ferry: Ferry): Promise<void> {
  await until('the copy stands still', async () => {
    const copied = ferry.lines.flatMap((line) => (line.type === 'progress' ? [line.copied] : []));
    const last = copied.slice(-4);
    return (last.length === 4 && new Set(last).size === 1) || undefined;
  });
}

/** What the guest wrote goes back to its image, on a file system that is full: at once where it can, else later. */
async function abortsWithoutRoom(berth: Berth, small: SmallFileSystem): Promise<void> {
  const ferry = berth.moveLayers(await berth.newDirectory(), ['--bandwidth', '1M']);
  await ferry.step('copy-layers');
  await small.fillUp();
  await ferry.warning('guest-stopped');
  await ferry.kill();
  const { outcome, exitCode, error } = await berth.abort().result();
  assert.ok(outcome === 'back' || exitCode === 4, `${outcome}: ${JSON.stringify(error)}`);
  await small.makeRoom();
  if (outcome !== 'back') await ends(berth.abort(), 'back');
  await expectWhole(berth, 'aborted', { on: berth.disk, restart: false });
}
