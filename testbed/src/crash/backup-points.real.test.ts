// Backup, the guest writes, increment, the guest writes, …, a move in between: each point holds what the guest had
// flushed at its instant, and each can be restored.
import assert from 'node:assert/strict';
import { DomainXml } from '@blockferry/libvirt';
import { afterAll, beforeAll, it } from 'vitest';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { backupDirectory, expectBackups, expectOfInstant, type Instant, imageAt } from './backed-up.ts';
import { type Berth, makeBerth, startHarbour } from './berth.ts';
import { expectLayersMoved } from './layered-moves.ts';
import { chainOf } from './whole.ts';

let host: LibvirtHost;
beforeAll(async () => {
  host = await startHarbour();
});
afterAll(async () => {
  await host.stop();
});

async function backUp(berth: Berth, directory: string, options: readonly string[] = []): Promise<Instant> {
  await berth.guest.waitForWrites(40);
  const before = await berth.guest.acknowledged();
  const result = await berth.ferry(['backup', berth.name, directory, ...options]).result();
  assert.equal(result.outcome, 'done', JSON.stringify(result));
  return { before, after: await berth.guest.acknowledged() };
}

it('five increments deep, with a move in between, every point is what the disk was at its instant', async () => {
  const berth = await makeBerth(host, 'deep', { layers: ['base', 'snap1', 'snap2'] });
  const directory = backupDirectory(berth, 'backups');
  const instants = [await backUp(berth, directory)];
  for (let count = 1; count <= 5; count++) {
    if (count === 3) {
      const to = await berth.newDirectory();
      const before = await chainOf(berth.disk);
      assert.equal((await berth.moveLayers(to).result()).outcome, 'moved');
      await expectLayersMoved(berth, 'between two increments', before, to, { restart: false });
    }
    instants.push(await backUp(berth, directory, ['--incremental']));
  }
  const points = await expectBackups(berth, directory, 'all of them');
  assert.equal(points.length, instants.length);
  for (const [at, point] of points.entries()) {
    const instant = instants[at];
    if (instant !== undefined) await expectOfInstant(await imageAt(directory, point), instant, point);
  }
  // The guest went on after the first one: it must not hold what came later.
  const [first] = points;
  const last = instants.at(-1);
  assert.ok(first !== undefined && last !== undefined);
  await assert.rejects(expectOfInstant(await imageAt(directory, first), last, first), /lost/);

  const [middle, newest] = [points[3], points[5]];
  assert.ok(middle !== undefined && newest !== undefined && instants[3] !== undefined);
  const beside = await berth
    .ferry(['restore', directory, '--point', middle, '--name', 'deep-again'])
    .result();
  assert.equal(beside.outcome, 'done', JSON.stringify(beside));
  const image = DomainXml.parse(await host.virsh('dumpxml', 'deep-again')).disk('vda')?.source;
  assert.ok(image?.kind === 'file');
  await expectOfInstant({ path: image.path, format: 'qcow2' }, instants[3], 'restored as another domain');
  await host.virsh('undefine', 'deep-again');

  await berth.guest.stop();
  const over = await berth.ferry(['restore', directory, '--point', newest, '--over']).result();
  assert.equal(over.outcome, 'done', JSON.stringify(over));
  // It boots, and finds what it had flushed: a guest that had lost a block would say so.
  await berth.guest.start();
  await berth.guest.waitForWrites(20);
}, 300_000);
