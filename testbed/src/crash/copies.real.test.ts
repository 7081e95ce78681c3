// `blockferry image` and copies of several disks, through deaths of blockferry, libvirtd and QEMU: the domain is what it was, and
// the copy is whole or gone.
import assert from 'node:assert/strict';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { startGuest } from '../guest/guest.ts';
import type { Acknowledged } from '../guest/report.ts';
import { verifyAcknowledged } from '../guest/verify.ts';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { run } from '../process/run.ts';
import { until } from '../process/until.ts';
import { type Berth, makeBerth, startHarbour } from './berth.ts';
import { ends } from './endings.ts';
import type { Ferry } from './ferry.ts';
import { makePair, type Pair } from './pair.ts';
import { chainOf, expectWhole } from './whole.ts';

let host: LibvirtHost;
beforeAll(async () => {
  host = await startHarbour();
});
afterAll(async () => {
  await host.stop();
});

/** Every write that the guest was told is flushed before `said` is in the image, which is sound and stands alone. */
async function expectImage(path: string, said: Acknowledged, what: string, format = 'qcow2'): Promise<void> {
  const { checked, lost } = await verifyAcknowledged({ path, format: format as 'qcow2' }, said);
  assert.ok(checked > 0, `${what}: there was something to lose`);
  assert.deepEqual(lost, [], `${what}: every acknowledged write is in the image`);
  assert.deepEqual(await chainOf(path), [path], `${what}: it stands alone`);
  await run(['qemu-img', 'check', '-q', '-f', format, path]);
}

/** The guest is where it was, with nothing of ours but the image; which is removed. */
async function expectCopied(berth: Berth, what: string, path: string, said: Acknowledged, running = true) {
  await expectImage(path, said, what);
  await expectWhole(berth, what, { on: berth.disk, besides: [path], running, restart: !running });
  await rm(path);
}

async function killQemu(name: string): Promise<void> {
  await host.killQemu(name);
  await until(
    'the domain is off',
    async () => /shut off/.test(await host.virsh('domstate', name)) || undefined,
  );
}

it('an image of a guest that writes as fast as it can boots, lacks nothing, and left the domain as it was', async () => {
  const berth = await makeBerth(host, 'fast', { layers: ['base', 'snap1', 'snap2'], rate: 'max' });
  const before = await berth.virsh('dumpxml', '--inactive');
  const path = berth.newPath();
  const ferry = berth.image(path, ['--compress'], {
    at: 'step-done',
    name: 'claim-files',
    signal: 'SIGSTOP',
  });
  await ferry.halted('claim-files');
  const said = await berth.guest.acknowledged();
  ferry.cont();
  await ends(ferry, 'copied');
  assert.equal(await berth.virsh('dumpxml', '--inactive'), before);
  await expectImage(path, said, 'fast');
  const twin = await startGuest(host, {
    name: 'twin',
    disks: [{ path, target: 'vda', format: 'qcow2' }],
    writers: berth.guest.writers,
  });
  await twin.waitForWrites(10);
  await twin.stop();
  const { lost } = await verifyAcknowledged({ path, format: 'qcow2' }, await twin.acknowledged());
  assert.deepEqual(lost, [], 'a guest on the image goes on from what it finds');
  await expectWhole(berth, 'fast', { on: berth.disk, besides: [path], restart: true });
  await berth.guest.stop();
});

it('a guest that writes faster than its overlay is committed back is slowed until it is, and then writes as before', async () => {
  const berth = await makeBerth(host, 'outruns', { rate: 'max', size: 256n << 20n });
  await berth.virsh('blkdeviotune', 'vda', '--live', '--read-iops-sec', '5000');
  const said = await berth.guest.acknowledged();
  const path = berth.newPath();
  const ferry = berth.image(path, [], { at: 'step-done', name: 'start-leg', signal: 'SIGSTOP' });
  await ferry.halted('start-leg');
  // Storage that is slow, and each block that the guest writes is 64 KiB to commit.
  await berth.virsh('blockjob', 'vda', '--bandwidth', '1');
  await until('a commit that lags behind', async () => {
    const [, cur, end] = /cur=(\d+)\s+end=(\d+)/.exec(await berth.virsh('blockjob', 'vda', '--raw')) ?? [];
    return Number(end) - Number(cur) > 24 * 2 ** 20 || undefined;
  });
  ferry.cont();
  assert.match(await ferry.warning('guest-slowed'), /as fast as its overlay is committed back/);
  await until('the limit', async () => /<write_iops_sec>\d/.test(await berth.virsh('dumpxml')) || undefined);
  await berth.virsh('blockjob', 'vda', '--bandwidth', '0');
  await ends(ferry, 'copied');
  const tune = await berth.virsh('blkdeviotune', 'vda', '--live');
  assert.match(tune, /write_iops_sec *: 0\n/);
  assert.match(tune, /read_iops_sec *: 5000\n/);
  await expectCopied(berth, 'outruns', path, said);
  await berth.guest.stop();
});

/** Both ways out after each step: BLOCKFERRY_SWEEP=all; else the one that says more. */
const waysAfter = (step: string): readonly ('resume' | 'abort')[] => {
  if (process.env.BLOCKFERRY_SWEEP === 'all') return ['resume', 'abort'];
  return /^(claim-files|freeze|keep-copies|finish-leg)/.test(step) ? ['abort'] : ['resume'];
};

describe('one disk', () => {
  let berth: Berth;
  beforeAll(async () => {
    berth = await makeBerth(host, 'one', { rate: 100 });
  });

  async function begun(options: readonly string[], halt?: Parameters<Berth['image']>[2]) {
    const said = await berth.guest.acknowledged();
    const path = berth.newPath();
    return { said, path, ferry: berth.image(path, options, halt) };
  }

  it('blockferry is killed after each step: resume completes the image; abort removes it, until it is complete', async () => {
    const whole = await begun([]);
    await ends(whole.ferry, 'copied');
    await expectCopied(berth, 'undisturbed', whole.path, whole.said);
    const steps = whole.ferry.passed('step-done');
    const completeFrom = steps.indexOf('keep-copies');
    assert.ok(completeFrom > 0, steps.join());
    for (const [index, name] of steps.entries()) {
      for (const way of waysAfter(name)) {
        const what = `after ${name}, then ${way}`;
        const { said, path, ferry } = await begun([], { at: 'step-done', name });
        await ferry.gone();
        const { outcome, error } = await (way === 'resume' ? berth.resume() : berth.abort()).result();
        if (outcome === 'back') {
          assert.ok(way === 'abort' && index < completeFrom, what);
          await expectWhole(berth, what, { on: berth.disk, restart: false });
          continue;
        }
        const nothing = outcome === 'nothing' || error?.code === 'no-open-move';
        assert.ok(outcome === 'copied' || (nothing && name === 'close'), `${what}: ${outcome}`);
        await expectCopied(berth, what, path, said);
      }
    }
  }, 600_000);

  it('the same command again goes on with it, and nothing that was verified is copied again', async () => {
    const { said, path, ferry } = await begun(['--bandwidth', '8M'], {
      at: 'step-done',
      name: 'keep-copies',
    });
    await ferry.gone();
    const again = berth.image(path, []);
    assert.match(await again.warning('continuing'), /which is complete/);
    await ends(again, 'copied');
    assert.ok(!again.passed('step-done').includes('copy-layers'));
    await expectCopied(berth, 'again', path, said);
  });

  it('libvirtd is killed while it copies, and while the guest goes back: the same blockferry goes on', async () => {
    for (const name of ['freeze', 'copy-layers', 'start-leg', 'finish-leg']) {
      const { said, path, ferry } = await begun([], { at: 'step-done', name, signal: 'SIGSTOP' });
      await ferry.halted(name);
      await host.restartLibvirtd();
      ferry.cont();
      await ends(ferry, 'copied');
      await expectCopied(berth, `libvirtd killed after ${name}`, path, said);
    }
  });

  it('QEMU is killed while it copies: the image is completed, the domain being off, and is defined as it was', async () => {
    const before = await berth.virsh('dumpxml', '--inactive');
    const { said, path, ferry } = await begun(['--bandwidth', '8M']);
    await ferry.step('copy-layers');
    await killQemu(berth.name);
    await ends(ferry, 'copied');
    assert.equal(await berth.virsh('dumpxml', '--inactive'), before);
    await expectCopied(berth, 'killed while copying', path, said, false);
  });

  it('QEMU is killed while the guest goes back: the image stays, and nothing that the guest wrote is lost', async () => {
    for (const name of ['keep-copies', 'start-leg', 'finish-leg']) {
      const { said, path, ferry } = await begun([], { at: 'step-done', name, signal: 'SIGSTOP' });
      await ferry.halted(name);
      await killQemu(berth.name);
      ferry.cont();
      await ends(ferry, 'copied');
      await expectCopied(berth, `QEMU killed after ${name}`, path, said, false);
    }
  });

  it('the domain is started while it is copied, having been off', async () => {
    await berth.guest.stop();
    const { said, path, ferry } = await begun(['--bandwidth', '8M']);
    await ferry.step('copy-layers');
    await berth.guest.start();
    await ends(ferry, 'copied');
    await expectCopied(berth, 'started meanwhile', path, said);
  });
});

describe('two disks at one instant', () => {
  let pair: Pair;
  beforeAll(async () => {
    pair = await makePair(host, 'two');
  });

  /** All files of a directory are those of the two chains, and hold what each disk was told is flushed. */
  async function expectPair(
    what: string,
    directory: string,
    said: readonly Acknowledged[],
    state = 'running',
  ) {
    const copies = ['vda', 'vdb'].map((disk, at) => {
      const name = disk === 'vda' ? 'system' : 'data';
      return { top: join(directory, name), said: said[at] };
    });
    const names = await readdir(directory);
    assert.deepEqual(
      new Set(names.map((name) => name.replace(/\..*$/, ''))),
      new Set(['system', 'system-base', 'data', 'data-base']),
    );
    assert.equal(names.length, 4, `${what}: ${names.join()}`);
    for (const { top, said: acknowledged } of copies) {
      const path = join(
        directory,
        names.find((name) => name.startsWith(top.slice(directory.length + 1)) && !name.includes('base')) ??
          '',
      );
      assert.ok(acknowledged !== undefined);
      const { lost } = await verifyAcknowledged({ node: chainNode(path) }, acknowledged);
      assert.deepEqual(lost, [], what);
    }
    await pair.expectWhole(what, { besides: names.map((name) => join(directory, name)), state });
    await rm(directory, { recursive: true });
  }

  const chainNode = (path: string) => ({
    driver: 'qcow2',
    'read-only': true,
    file: { driver: 'file', filename: path },
  });

  async function begun(
    halt?: Parameters<Pair['copyAll']>[1],
  ): Promise<{ directory: string; said: Acknowledged[]; ferry: Ferry }> {
    const said = [await pair.guest.acknowledged('vda'), await pair.guest.acknowledged('vdb')];
    const directory = await pair.newDirectory();
    return { directory, said, ferry: pair.copyAll(directory, halt) };
  }

  it('blockferry is killed after each step: both are copied, or neither', async () => {
    const whole = await begun();
    await ends(whole.ferry, 'copied');
    assert.equal(whole.ferry.passed('step-done').filter((step) => step.startsWith('freeze')).length, 1);
    await expectPair('undisturbed', whole.directory, whole.said);
    const telling: readonly (readonly [string, 'resume' | 'abort'])[] = [
      ['record', 'resume'],
      ['freeze', 'abort'],
      ['copy-layers#2', 'resume'],
      ['keep-copies', 'abort'],
      ['keep-copies#2', 'resume'],
      ['finish-leg', 'abort'],
      ['clear', 'resume'],
      ['close', 'resume'],
    ];
    const all = whole.ferry
      .passed('step-done')
      .flatMap((name) => (['resume', 'abort'] as const).map((way) => [name, way] as const));
    for (const [name, way] of process.env.BLOCKFERRY_SWEEP === 'all' ? all : telling) {
      const what = `after ${name}, then ${way}`;
      const { directory, said, ferry } = await begun({ at: 'step-done', name });
      await ferry.gone();
      const { outcome, error } = await pair.ferry([way, pair.name]).result();
      if (outcome === 'back') {
        await pair.expectWhole(what);
        assert.deepEqual(await readdir(directory), [], what);
        continue;
      }
      const nothing = outcome === 'nothing' || error?.code === 'no-open-move';
      assert.ok(outcome === 'copied' || nothing, `${what}: ${outcome} ${JSON.stringify(error)}`);
      await expectPair(what, directory, said);
    }
  }, 900_000);

  it('QEMU is killed when one disk is back and the other is not', async () => {
    const { directory, said, ferry } = await begun({
      at: 'step-done',
      name: 'finish-leg',
      signal: 'SIGSTOP',
    });
    await ferry.halted('finish-leg');
    await killQemu(pair.name);
    ferry.cont();
    await ends(ferry, 'copied');
    await expectPair('killed between', directory, said, 'shut off');
    await pair.guest.start();
  });
});
