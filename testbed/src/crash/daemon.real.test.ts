// libvirtd killed with SIGKILL under a running move, and started again: the same blockferry carries on to the end.
import assert from 'node:assert/strict';
import { link, rm, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { DomainXml } from '@blockferry/libvirt';
import { afterAll, afterEach, beforeAll, beforeEach, describe, it } from 'vitest';
import { verifyAcknowledged } from '../guest/verify.ts';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { type Berth, makeBerth, startHarbour } from './berth.ts';
import { asks } from './endings.ts';
import type { Ferry } from './ferry.ts';
import { courseOf, expectMoved } from './sweep.ts';
import { chainOf } from './whole.ts';

let host: LibvirtHost;
let berth: Berth;
beforeAll(async () => {
  host = await startHarbour();
});
// One that fails spoils no other.
let berths = 0;
beforeEach(async () => {
  berths += 1;
  berth = await makeBerth(host, `daemon${berths}`);
});
afterEach(() => berth[Symbol.asyncDispose]());
afterAll(async () => {
  await host.stop();
});

type Meanwhile = (ferry: Ferry) => Promise<void>;

/** Runs a move, during which `meanwhile` does something to libvirtd; it must end moved by itself. */
async function movesOn(what: string, options: readonly string[], meanwhile: Meanwhile, restart = false) {
  const before = await chainOf(berth.disk);
  const destination = berth.newPath();
  const ferry = berth.move(destination, options);
  await meanwhile(ferry);
  const { outcome, error } = await ferry.result();
  assert.equal(outcome, 'moved', `${what}: ${JSON.stringify(error)}`);
  await expectMoved(berth, what, before, destination, options, restart);
}

/** As a libvirtd leaves them that dies while it begins a copy: the next counts on from the names it knows of. */
async function occupyNextNames(count: number): Promise<void> {
  const qmp = async (execute: string, more: object = {}): Promise<unknown> => {
    const said = await berth.virsh('qemu-monitor-command', JSON.stringify({ execute, arguments: more }));
    return JSON.parse(said).return;
  };
  const nodes = JSON.stringify(await qmp('query-named-block-nodes', { flat: true }));
  const last = Math.max(...[...nodes.matchAll(/"libvirt-(\d+)-/g)].map(([, number]) => Number(number)));
  for (let number = last + 1; number <= last + count; number += 1) {
    await qmp('blockdev-add', { driver: 'null-co', 'node-name': `libvirt-${number}-storage` });
  }
}

const unlimited = () => berth.virsh('blockjob', 'vda', '--bandwidth', '0');

describe('a move whose libvirtd is killed and started again', () => {
  it('goes on while it copies, and says what it waits for', async () => {
    await movesOn('while copying', ['--bandwidth', '4M'], async (ferry) => {
      await ferry.copying();
      await host.restartLibvirtd();
      assert.match(await ferry.warning('daemon-away'), /waiting for libvirtd/);
      await unlimited();
    });
  });

  it('notices on its return that the copy became ready while it was away', async () => {
    await movesOn('ready meanwhile', ['--bandwidth', '8M'], async (ferry) => {
      await ferry.copying();
      await host.killLibvirtd();
      await ferry.warning('daemon-away');
      // The guest goes on, and so does the copy, with nobody to see it.
      await berth.guest.waitForWrites(60);
      await host.restartLibvirtd();
    });
  });

  it('goes on after whichever step', async () => {
    const options = ['--no-transient-job', '--delete-source'];
    const steps = (await courseOf(berth, options)).passed('step-done');
    for (const step of steps) {
      const before = await chainOf(berth.disk);
      const destination = berth.newPath();
      const ferry = berth.move(destination, options, { at: 'step-done', name: step, signal: 'SIGSTOP' });
      await ferry.halted(step);
      await host.restartLibvirtd();
      ferry.cont();
      assert.equal((await ferry.result()).outcome, 'moved', `after ${step}`);
      await expectMoved(berth, `after ${step}`, before, destination, options, step === steps.at(-1));
    }
  });

  // Where in the call it dies is chance: each try is a little later. Slowly, so that it does not die in the pivot, however
  // late we are: then libvirt itself may lose the guest (below).
  it('goes on when it dies in the middle of the call that starts the copy', async () => {
    for (const afterMs of [0, 5, 10, 20, 30, 45, 60]) {
      await movesOn(`${afterMs} ms into start-copy`, ['--bandwidth', '8M'], async (ferry) => {
        await ferry.step('start-copy');
        await sleep(afterMs);
        await host.restartLibvirtd();
        berth.debris = true;
      });
    }
  });

  it('goes on where block nodes that it left behind have the names of the next', async () => {
    const before = await chainOf(berth.disk);
    const destination = berth.newPath();
    await occupyNextNames(2);
    berth.debris = true;
    const halt = { at: 'step-done', name: 'claim-destination', signal: 'SIGSTOP' } as const;
    const ferry = berth.move(destination, [], halt);
    await ferry.halted('claim-destination');
    // libvirt removes the file with each refusal; with a second name its inode is not given to the next by chance.
    await link(destination, `${destination}.first`);
    ferry.cont();
    const { outcome, error } = await ferry.result();
    assert.equal(outcome, 'moved', JSON.stringify(error));
    assert.equal((await stat(`${destination}.first`)).nlink, 1, 'libvirt removed the first file');
    await rm(`${destination}.first`);
    await expectMoved(berth, 'past names that are taken', before, destination, [], true);
  });

  it('never loses the guest when it dies in the middle of the pivot, though libvirt itself may', async () => {
    const seen = new Map<string, number>();
    for (const afterMs of [0, 1, 2, 3, 5, 8, 12, 20]) {
      const what = `${afterMs} ms into pivot`;
      const before = await chainOf(berth.disk);
      const destination = berth.newPath();
      const ferry = berth.move(destination, []);
      await ferry.step('pivot');
      await sleep(afterMs);
      await host.restartLibvirtd();
      berth.debris = true;
      const { outcome, error } = await ferry.result();
      const how = outcome === 'question' ? (error?.code ?? '') : outcome;
      seen.set(how, (seen.get(how) ?? 0) + 1);
      if (how !== 'moved') await startAnew(what, how, destination);
      await expectMoved(berth, what, before, destination, [], afterMs === 20);
    }
    console.log('after the death of libvirtd in the middle of a pivot:', Object.fromEntries(seen));
  });

  /** libvirt lost the domain, or its pivot: no write is lost when it is started anew, and the move ends. */
  async function startAnew(what: string, how: string, destination: string): Promise<void> {
    await berth.guest.waitForWrites(10);
    let ended = false;
    if (how === 'unknown-to-libvirt') ended = await endUnknown(what, destination);
    else {
      assert.equal(how, 'phantom-mirror', what);
      assert.equal(await nextBoot(), destination, `${what}: the next boot`);
      await berth.guest.stop();
    }
    await berth.guest.start();
    if (ended) return;
    const resumed = await berth.resume().result();
    assert.equal(resumed.outcome, 'moved', `${what}, ${how}: ${JSON.stringify(resumed.error)}`);
  }

  /** Only QEMU knew where it was: where its locks did not tell, a person who looks at both images answers. */
  async function endUnknown(what: string, destination: string): Promise<boolean> {
    await asks(berth.resume(), 'unknown-to-libvirt');
    await assert.rejects(berth.virsh('start'), 'the QEMU that runs keeps a second one away');
    await host.killQemu(berth.name);
    if ((await nextBoot()) === destination) return false;
    const asked = await berth.resume().result();
    if (asked.outcome !== 'question') return asked.outcome === 'moved';
    const said = await berth.guest.acknowledged();
    const { lost } = await verifyAcknowledged({ path: destination, format: 'qcow2' }, said);
    const side = lost.length === 0 ? 'destination' : 'source';
    const answered = await berth.resume(['--use', side]).result();
    assert.equal(answered.outcome, side === 'destination' ? 'moved' : 'interrupted', what);
    return answered.outcome === 'moved';
  }

  async function nextBoot(): Promise<string | undefined> {
    const source = DomainXml.parse(await berth.virsh('dumpxml', '--inactive')).disk('vda')?.source;
    return source?.kind === 'file' ? source.path : undefined;
  }

  it('still knows of a move that is held at ready, and pivots it', async () => {
    const before = await chainOf(berth.disk);
    const destination = berth.newPath();
    assert.equal((await berth.move(destination, ['--hold']).result()).outcome, 'ready');
    await host.restartLibvirtd();
    const pivoted = await berth.pivot().result();
    assert.equal(pivoted.outcome, 'moved', JSON.stringify(pivoted.error));
    await expectMoved(berth, 'held', before, destination, [], true);
  });

  it('stops by itself when it stays away, and is resumed when it is back', async () => {
    const before = await chainOf(berth.disk);
    const destination = berth.newPath();
    const ferry = berth.move(destination, ['--bandwidth', '4M']);
    await ferry.copying();
    await host.killLibvirtd();
    assert.equal((await ferry.result()).exitCode, 4);
    await host.restartLibvirtd();
    await unlimited();
    assert.equal((await berth.resume().result()).outcome, 'moved');
    await expectMoved(berth, 'away for long', before, destination, [], true);
  });
});
