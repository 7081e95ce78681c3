// QEMU killed with SIGKILL in each phase of a move, with libvirtd there to see it: the guest's disk stays whole, and
// the move goes on when the domain runs again, or is undone while it is off.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { until } from '../process/until.ts';
import { type Berth, makeBerth, startHarbour } from './berth.ts';
import { asks, ends, goesBack, interrupted } from './endings.ts';
import { pivotUnseen } from './monitor.ts';
import { chainOf, expectWhole } from './whole.ts';

let host: LibvirtHost;
beforeAll(async () => {
  host = await startHarbour();
});
afterAll(async () => {
  await host.stop();
});

/** Begins a slow move, and kills QEMU while it copies. */
async function dieCopying(berth: Berth, options: readonly string[] = []) {
  const destination = berth.newPath();
  const ferry = berth.move(destination, [...options, '--bandwidth', '2M']);
  await ferry.copying();
  await host.killQemu(berth.name);
  return { ferry, destination };
}

/** The copy keeps to its limit when it starts again. */
async function resumeAtFullSpeed(berth: Berth): Promise<void> {
  const ferry = berth.resume();
  await ferry.copying();
  await berth.virsh('blockjob', 'vda', '--bandwidth', '0');
  await ends(ferry, 'moved');
}

describe.concurrent('QEMU killed', () => {
  it('while it copies: the move stops, and resume copies again', async () => {
    await using berth = await makeBerth(host, 'copying');
    const { ferry, destination } = await dieCopying(berth);
    await interrupted(ferry, 'domain-off');
    await interrupted(berth.resume(), 'domain-off');
    await berth.guest.start();
    await resumeAtFullSpeed(berth);
    await expectWhole(berth, 'copied again', { on: destination, besides: [berth.disk] });
  });

  it('while it copies: abort undoes it although the domain is off', async () => {
    await using berth = await makeBerth(host, 'undone');
    const { ferry } = await dieCopying(berth, ['--no-transient-job']);
    await interrupted(ferry, 'domain-off');
    await ends(berth.abort(), 'back');
    await expectWhole(berth, 'undone while off', { on: berth.disk, running: false });
  });

  it('while it copies, the definition kept aside: the domain comes back defined as it was', async () => {
    await using berth = await makeBerth(host, 'aside', { autostart: true });
    const { ferry, destination } = await dieCopying(berth, ['--no-transient-job']);
    await interrupted(ferry, 'domain-off');
    assert.match(await berth.virsh('dominfo'), /Persistent:\s+yes[\s\S]*Autostart:\s+enable/);
    await berth.guest.start();
    await resumeAtFullSpeed(berth);
    await expectWhole(berth, 'defined again', { on: destination, besides: [berth.disk] });
  });

  it('while it copies, blockferry too: the definition kept aside is there for the next one', async () => {
    await using berth = await makeBerth(host, 'both', { autostart: true });
    const destination = berth.newPath();
    const ferry = berth.move(destination, ['--no-transient-job', '--bandwidth', '2M']);
    await ferry.copying();
    await ferry.kill();
    await host.killQemu(berth.name);
    await interrupted(berth.resume(), 'domain-off');
    await ends(berth.abort(), 'back');
    await expectWhole(berth, 'both died', { on: berth.disk, running: false });
  });

  it('while it is held at ready: resume makes it ready again, and it can be pivoted', async () => {
    await using berth = await makeBerth(host, 'held');
    const destination = berth.newPath();
    await ends(berth.move(destination, ['--hold']), 'ready');
    await host.killQemu(berth.name);
    await interrupted(berth.pivot(), 'domain-off');
    await berth.guest.start();
    await ends(berth.resume(), 'moved');
    await expectWhole(berth, 'held', { on: destination, besides: [berth.disk] });
  });

  it('when it had pivoted and libvirt knows: the move settles while the domain is off', async () => {
    await using berth = await makeBerth(host, 'pivoted');
    const destination = berth.newPath();
    await berth.move(destination, [], { at: 'step-done', name: 'pivot' }).gone();
    await host.killQemu(berth.name);
    await ends(berth.resume(), 'moved');
    await expectWhole(berth, 'pivoted', { on: destination, besides: [berth.disk], running: false });
  });

  it('in the middle of the pivot, at whichever moment', async () => {
    await using berth = await makeBerth(host, 'pivoting');
    const left: string[] = [];
    for (const afterMs of [0, 5, 10, 20, 40]) {
      const what = `${afterMs} ms into the pivot`;
      const destination = berth.newPath();
      const ferry = berth.move(destination);
      await ferry.step('pivot');
      await sleep(afterMs);
      await host.killQemu(berth.name);
      const { outcome, error } = await ferry.result();
      // Either image may be the newer. With no libvirtd lost, the definition is the destination's if QEMU had pivoted.
      if (error?.code === 'which-side') await interrupted(berth.resume(['--use', 'source']), 'domain-off');
      else if (outcome !== 'moved')
        assert.deepEqual([outcome, error?.code], ['interrupted', 'domain-off'], what);
      await until('libvirt knows', async () => /shut off/.test(await berth.virsh('domstate')) || undefined);
      await berth.guest.start();
      if (outcome !== 'moved') await ends(berth.resume(), 'moved');
      left.push(berth.disk);
      await expectWhole(berth, what, { on: destination, besides: left, restart: false });
    }
  });

  it('under a transient domain that copies: nothing is left of the move', async () => {
    await using berth = await makeBerth(host, 'transient', { persistent: false });
    const { ferry } = await dieCopying(berth);
    await goesBack(ferry, /gone/);
    assert.deepEqual(await berth.files(), ['base.qcow2', 'top.qcow2']);
    assert.equal((await berth.resume().result()).exitCode, 3, 'there is no such domain, and no move of it');
  });

  it.each([
    ['source', ['base.qcow2', 'top.qcow2']],
    ['destination', ['base.qcow2', 'copy1.qcow2', 'top.qcow2']],
  ])(
    'under a transient domain that pivots unseen: both images are kept until told (%s)',
    async (side, files) => {
      await using own = await startHarbour();
      await using berth = await makeBerth(own, 'gone', { persistent: false });
      const destination = berth.newPath();
      await berth.move(destination, [], { at: 'step-done', name: 'record#2' }).gone();
      await own.killLibvirtd();
      await pivotUnseen(own, berth.name);
      await berth.guest.waitForWrites(5);
      await own.killQemu(berth.name);
      await own.restartLibvirtd();
      await asks(berth.resume(), 'domain-gone-while-pivoting');
      await chainOf(destination);
      await ends(
        berth.resume(['--use', side]),
        side === 'source' ? 'back' : 'moved',
        side === 'source' ? 1 : 0,
      );
      assert.deepEqual(await berth.files(), files);
    },
  );
});
