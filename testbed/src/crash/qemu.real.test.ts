// QEMU killed in each phase of a move: the domain starts again from a whole disk, and the move goes on or back.
import assert from 'node:assert/strict';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { until } from '../process/until.ts';
import { type Berth, makeBerth, startHarbour } from './berth.ts';
import type { Result } from './ferry.ts';
import { expectMoved } from './sweep.ts';
import { chainOf, expectWhole } from './whole.ts';

let host: LibvirtHost;
let berth: Berth;
beforeAll(async () => {
  host = await startHarbour();
  berth = await makeBerth(host, 'qemu');
});
afterAll(async () => {
  await host.stop();
});

function expectInterrupted({ outcome, exitCode, error }: Result): void {
  assert.deepEqual([outcome, exitCode], ['interrupted', 4], JSON.stringify(error));
}

/** Returns when libvirt has noticed. */
async function killQemu(): Promise<void> {
  await host.killQemu(berth.name);
  await until('the domain is off', async () => /shut off/.test(await berth.virsh('domstate')) || undefined);
}

/** Starts a move that lasts, kills QEMU under it, and returns where it was going. */
async function killedWhileCopying(): Promise<string> {
  const destination = berth.newPath();
  const ferry = berth.move(destination, ['--bandwidth', '1M']);
  await ferry.copying();
  await killQemu();
  expectInterrupted(await ferry.result());
  return destination;
}

describe('QEMU killed while it copies', () => {
  it('resume copies again once the domain runs', async () => {
    const before = await chainOf(berth.disk);
    const destination = await killedWhileCopying();
    expectInterrupted(await berth.resume().result());
    await berth.guest.start();
    const resumed = berth.resume();
    await resumed.copying();
    await berth.virsh('blockjob', 'vda', '--bandwidth', '0');
    const { outcome, error } = await resumed.result();
    assert.equal(outcome, 'moved', JSON.stringify(error));
    await expectMoved(berth, 'killed while copying', before, destination, [], false);
  });

  it('abort removes the unfinished copy, though the domain is off', async () => {
    await killedWhileCopying();
    assert.equal((await berth.abort().result()).outcome, 'back');
    await expectWhole(berth, 'killed while copying, aborted', { on: berth.disk, running: false });
  });
});

describe('QEMU killed with the mirror ready', () => {
  it('the held move is ready again after a restart and resume, and can be pivoted', async () => {
    const before = await chainOf(berth.disk);
    const destination = berth.newPath();
    assert.equal((await berth.move(destination, ['--hold']).result()).outcome, 'ready');
    await killQemu();
    await berth.guest.start();
    assert.equal((await berth.resume().result()).outcome, 'ready');
    assert.equal((await berth.pivot().result()).outcome, 'moved');
    await expectMoved(berth, 'killed at ready', before, destination, [], false);
  });
});

describe('QEMU killed after the pivot', () => {
  it('the next boot uses the destination, and nothing is left to do but to close the record', async () => {
    const before = await chainOf(berth.disk);
    const destination = berth.newPath();
    const ferry = berth.move(destination, [], { at: 'step-done', name: 'pivot', signal: 'SIGSTOP' });
    await ferry.halted('pivot');
    await killQemu();
    ferry.cont();
    assert.equal((await ferry.result()).outcome, 'moved');
    const left = before.slice(0, 1);
    await expectWhole(berth, 'killed after the pivot', { on: destination, besides: left, running: false });
  });
});
