// blockferry killed with SIGKILL after every step of a layered move: whatever way out is taken, the guest's disk is whole.
import assert from 'node:assert/strict';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { makeBerth, startHarbour } from './berth.ts';
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

describe.concurrent('blockferry killed after each step', () => {
  for (const way of ['resume', 'abort'] as const) {
    it(`ends whole by ${way}`, async () => {
      const berth = await makeBerth(host, `killed-${way}`, CHAIN);
      const first = await berth.newDirectory();
      const before = await chainOf(berth.disk);
      // One of the ways with the overlay in a directory of its own.
      const elsewhere = way === 'abort' ? ['--overlay-dir', await berth.newDirectory()] : [];
      const course = berth.moveLayers(first, elsewhere);
      await ends(course, 'moved');
      await expectLayersMoved(berth, 'undisturbed', before, first, { restart: false });
      for (const step of course.passed('step-done')) {
        const what = `after ${step}, then ${way}`;
        const directory = await berth.newDirectory();
        const chain = await chainOf(berth.disk);
        await berth.moveLayers(directory, elsewhere, { at: 'step-done', name: step }).gone();
        const { outcome, error } = await (way === 'resume' ? berth.resume() : berth.abort()).result();
        if (outcome === 'back') {
          assert.equal(way, 'abort', what);
          await expectWhole(berth, what, { on: berth.disk, restart: false });
          continue;
        }
        const nothing = outcome === 'nothing' || error?.code === 'no-open-move';
        assert.ok(outcome === 'moved' || nothing, `${what}: ${outcome} ${JSON.stringify(error)}`);
        await expectLayersMoved(berth, what, chain, directory, { restart: false });
      }
    }, 900_000);
  }
});

it('blockferry killed between any two of its last removals: resume leaves no file behind', async () => {
  const berth = await makeBerth(host, 'removals', CHAIN);
  const first = await berth.newDirectory();
  const before = await chainOf(berth.disk);
  const course = berth.moveLayers(first);
  await ends(course, 'moved');
  await expectLayersMoved(berth, 'undisturbed', before, first, { restart: false });
  const settled = course.lines.findIndex((line) => line.type === 'step' && line.step === 'clear');
  assert.ok(settled > 0);
  const removals = course.lines.slice(settled).flatMap((line) => {
    return line.type === 'effect' && line.name.startsWith('host.unlink') ? [line.name] : [];
  });
  assert.ok(removals.length > 3, removals.join());
  for (const name of removals) {
    const directory = await berth.newDirectory();
    const chain = await chainOf(berth.disk);
    await berth.moveLayers(directory, [], { at: 'effect', name }).gone();
    const { outcome, error } = await berth.resume().result();
    const nothing = outcome === 'nothing' || error?.code === 'no-open-move';
    assert.ok(outcome === 'moved' || nothing, `after ${name}: ${outcome} ${JSON.stringify(error)}`);
    await expectLayersMoved(berth, `after ${name}`, chain, directory, { restart: false });
  }
}, 900_000);
