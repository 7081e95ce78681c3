// `blockferry image` through deaths of blockferry, libvirtd and QEMU: the domain is what it was, the image whole or gone.
import assert from 'node:assert/strict';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { startGuest } from '../guest/guest.ts';
import type { Acknowledged } from '../guest/report.ts';
import { verifyAcknowledged } from '../guest/verify.ts';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { run } from '../process/run.ts';
import { until } from '../process/until.ts';
import { type Berth, makeBerth, startHarbour } from './berth.ts';
import { ends } from './endings.ts';
import { expectImage } from './expect-image.ts';
import { expectWhole } from './whole.ts';

let host: LibvirtHost;
beforeAll(async () => {
  host = await startHarbour();
});
afterAll(async () => {
  await host.stop();
});

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

/** Leaves the overlay of this image as `qemu-img create` does that is killed: under its claimed name, without an image below it. */
async function makeHalf(image: string): Promise<void> {
  const names = await readdir(dirname(image));
  const overlay = names.find((name) => name.startsWith(basename(image)) && name.endsWith('.overlay'));
  assert.ok(overlay, names.join());
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', `${image}.half`, '0']);
  await writeFile(join(dirname(image), overlay), await readFile(`${image}.half`));
  await rm(`${image}.half`);
}

it('an image of a guest that writes as fast as it can boots, lacks nothing, and left the domain as it was', async () => {
  await using berth = await makeBerth(host, 'fast', { layers: ['base', 'snap1', 'snap2'], rate: 'max' });
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

type Way = 'resume' | 'abort';

/** Where it differs; after all steps, by both ways out: BLOCKFERRY_SWEEP=all. */
const TELLING: readonly (readonly [string, Way])[] = [
  ['claim-files', 'abort'],
  ['freeze', 'abort'],
  ['copy-layers', 'resume'],
  ['keep-copies', 'abort'],
  ['start-leg', 'resume'],
  ['finish-leg', 'resume'],
  ['clear', 'resume'],
  ['close', 'resume'],
];

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

  it('blockferry is killed after a step: resume completes the image; abort removes it, until it is complete', async () => {
    const whole = await begun([]);
    await ends(whole.ferry, 'copied');
    await expectCopied(berth, 'undisturbed', whole.path, whole.said);
    const steps = whole.ferry.passed('step-done');
    const completeFrom = steps.indexOf('keep-copies');
    assert.ok(completeFrom > 0, steps.join());
    const all = steps.flatMap((name) => [[name, 'resume'] as const, [name, 'abort'] as const]);
    for (const [name, way] of process.env.BLOCKFERRY_SWEEP === 'all' ? all : TELLING) {
      const what = `after ${name}, then ${way}`;
      const { said, path, ferry } = await begun([], { at: 'step-done', name });
      await ferry.diedAfter(name);
      const { outcome, error } = await (way === 'resume' ? berth.resume() : berth.abort()).result();
      if (outcome === 'back') {
        assert.ok(way === 'abort' && steps.indexOf(name) < completeFrom, what);
        await expectWhole(berth, what, { on: berth.disk, restart: false });
        continue;
      }
      const nothing = outcome === 'nothing' || error?.code === 'no-open-move';
      assert.ok(outcome === 'copied' || (nothing && name === 'close'), `${what}: ${outcome}`);
      await expectCopied(berth, what, path, said);
    }
  }, 600_000);

  it('the same command again goes on with it, and nothing that was verified is copied again', async () => {
    const { said, path, ferry } = await begun(['--bandwidth', '12M'], {
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

  it('blockferry is killed in the middle of a compressed image, which is begun anew', async () => {
    const { said, path, ferry } = await begun(['--compress', '--bandwidth', '12M']);
    await ferry.copying();
    await ferry.kill();
    await ends(berth.resume(), 'copied');
    await expectCopied(berth, 'compressed', path, said);
  });

  it('libvirtd is killed while it copies, and while the guest goes back: the same blockferry goes on', async () => {
    for (const name of ['copy-layers', 'finish-leg']) {
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
    const { said, path, ferry } = await begun(['--bandwidth', '12M']);
    await ferry.step('copy-layers');
    await killQemu(berth.name);
    await ends(ferry, 'copied');
    assert.equal(await berth.virsh('dumpxml', '--inactive'), before);
    await expectCopied(berth, 'killed while copying', path, said, false);
  });

  it('QEMU is killed while the guest goes back: the image stays, and nothing that the guest wrote is lost', async () => {
    for (const name of ['start-leg', 'finish-leg']) {
      const { said, path, ferry } = await begun([], { at: 'step-done', name, signal: 'SIGSTOP' });
      await ferry.halted(name);
      await killQemu(berth.name);
      ferry.cont();
      await ends(ferry, 'copied');
      await expectCopied(berth, `QEMU killed after ${name}`, path, said, false);
    }
  });

  it('everything dies while the overlay is made: the domain is never defined on what came of it', async () => {
    for (const way of ['resume', 'abort'] as const) {
      const { said, path, ferry } = await begun([], { at: 'step-done', name: 'claim-files' });
      await ferry.diedAfter('claim-files');
      await killQemu('one');
      await makeHalf(berth.disk);
      await ends(way === 'resume' ? berth.resume() : berth.abort(), way === 'resume' ? 'copied' : 'back');
      if (way === 'resume') await expectCopied(berth, 'half', path, said, false);
      else await expectWhole(berth, 'half', { on: berth.disk, running: false, restart: true });
    }
  });

  it('the domain is started while it is copied, having been off', async () => {
    await berth.guest.stop();
    const { said, path, ferry } = await begun(['--bandwidth', '12M']);
    await ferry.step('copy-layers');
    await berth.guest.start();
    await ends(ferry, 'copied');
    await expectCopied(berth, 'started meanwhile', path, said);
  });
});
