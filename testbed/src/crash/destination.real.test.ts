// Destinations that fill up, fail, die or hang under a move: the guest never notices, and nothing is left behind.
import assert from 'node:assert/strict';
import { readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, it } from 'vitest';
import { type SmallFileSystem, smallFileSystem } from '../faults/file-system.ts';
import { faultyNbdServer, type NbdServer, nbdServer } from '../faults/nbd-server.ts';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { type Berth, makeBerth, startHarbour } from './berth.ts';
import type { Ferry } from './ferry.ts';
import { expectWhole } from './whole.ts';

const mebibyte = 1024n * 1024n;

let host: LibvirtHost;
let berth: Berth;
beforeAll(async () => {
  host = await startHarbour();
  berth = await makeBerth(host, 'destination');
});
afterAll(async () => {
  await host.stop();
});
// One failure must not make the next: whatever is still open then is undone.
afterEach(async () => {
  await berth.abort().gone();
});

/** A raw file of the disk's size, to be served. */
async function volume(name: string): Promise<string> {
  const path = join(host.directory, 'guest', name);
  await writeFile(path, '');
  await truncate(path, Number(berth.chain.size));
  return path;
}

const toNbd = (server: NbdServer, ...options: string[]) =>
  berth.move(server.uri, ['--flatten', '--format', 'raw', '--reuse-external', ...options]);

const unlimited = () => berth.virsh('blockjob', 'vda', '--bandwidth', '0');

/** The move must end by itself with the guest on the source; returns its words. */
async function goesBack(ferry: Ferry): Promise<string> {
  const { outcome, exitCode, error } = await ferry.result();
  assert.deepEqual([outcome, exitCode], ['back', 1], JSON.stringify(error));
  return error?.message ?? '';
}

const whole = (what: string) => expectWhole(berth, what, { on: berth.disk, restart: false });

describe('a destination that fails while it is copied to', () => {
  it('is full', async () => {
    const small = await smallFileSystem(host, { bytes: 64n * mebibyte });
    const before = await readdir(small.directory);
    const ferry = berth.move(join(small.directory, 'copy.qcow2'), ['--flatten', '--bandwidth', '1M']);
    await ferry.copying();
    await small.fillUp();
    await unlimited();
    assert.match(await goesBack(ferry), /full/);
    await small.makeRoom();
    assert.deepEqual(await readdir(small.directory), before, 'nothing is left on the full file system');
    await whole('full');
    await small.stop();
  });

  it('answers every write with an error', async () => {
    const server = await faultyNbdServer({ path: await volume('eio.raw') });
    const ferry = toNbd(server, '--bandwidth', '1M');
    await ferry.copying();
    await server.fail();
    await unlimited();
    assert.match(await goesBack(ferry), /copy failed/);
    await whole('EIO');
    await server.stop();
  });

  it('has its server killed', async () => {
    const server = await nbdServer({ path: await volume('killed.raw') });
    const ferry = toNbd(server, '--bandwidth', '1M');
    await ferry.copying();
    await server.kill();
    await unlimited();
    assert.match(await goesBack(ferry), /copy failed/);
    await whole('server killed');
    await server.stop();
  });
});

describe('a destination that is dead when the mirror is ready', () => {
  it('is not pivoted onto, though an idle guest gives QEMU no reason to notice', async () => {
    const server = await nbdServer({ path: await volume('ready.raw') });
    assert.equal((await toNbd(server, '--hold').result()).outcome, 'ready');
    await berth.virsh('suspend');
    await server.kill();
    const pivot = berth.pivot();
    assert.match(await pivot.warning('destination-silent'), /abort/);
    await berth.virsh('resume');
    // The guest's next write ends the mirror, and with it the move.
    await goesBack(pivot);
    await whole('dead at ready');
    await server.stop();
  });
});

describe('a destination that hangs', () => {
  it('is refused before the copy, with nothing touched', async () => {
    const server = await nbdServer({ path: await volume('silent.raw') });
    server.hang();
    const { outcome, exitCode, error } = await toNbd(server).result();
    assert.deepEqual([outcome, exitCode, error?.code], ['refused', 3, 'destination-silent']);
    server.resume();
    await whole('silent before');
    await server.stop();
  });

  it('is named while copying, does not hold the guest up, and the move can be undone', async () => {
    const server = await nbdServer({ path: await volume('hangs.raw') });
    const ferry = toNbd(server, '--bandwidth', '1M');
    await ferry.copying();
    server.hang();
    assert.match(await ferry.warning('destination-silent'), /does not answer.*abort/s);
    await berth.guest.waitForWrites(60);
    // To cancel now, QEMU would drain the disk, and the guest would wait for what the destination does not answer.
    const abort = berth.abort();
    assert.match(await abort.warning('waits-for-another'), /it is told/);
    await berth.guest.waitForWrites(60);
    await server.kill();
    assert.equal((await abort.result()).outcome, 'back');
    assert.equal((await ferry.result()).outcome, 'back');
    await whole('hangs while copying');
    await server.stop();
  });

  it('is named while layers are copied to it too; killed meanwhile, the next one goes on when it answers', async () => {
    const server = await nbdServer({ path: await volume('layers.raw') });
    const slowly = ['--strategy', 'layered', '--guard', 'off', '--bandwidth', '8M'];
    const ferry = berth.move(server.uri, ['--flatten', ...slowly]);
    await ferry.copying();
    server.hang();
    assert.match(await ferry.warning('destination-silent'), /does not answer.*abort/s);
    await berth.guest.waitForWrites(30);
    await ferry.kill();
    const resume = berth.resume();
    await resume.step('copy-layers');
    server.resume();
    await berth.ferry(['bandwidth', berth.name, '0']).gone();
    assert.equal((await resume.result()).outcome, 'moved');
    const home = berth.newPath();
    const left = (await berth.files()).map((name) => join(berth.directory, name));
    assert.equal((await berth.move(home, ['--flatten', '--format', 'qcow2']).result()).outcome, 'moved');
    await expectWhole(berth, 'hung under layers', { on: home, besides: left, restart: false });
    for (const path of left) await rm(path);
    await server.stop();
  });

  describe('and answers again', () => {
    let small: SmallFileSystem;
    beforeAll(async () => {
      small = await smallFileSystem(host, { bytes: 128n * mebibyte, name: 'hanging' });
    });
    afterAll(async () => {
      await small.stop();
    });

    /** From the small file system to a new file beside the others: the proof looks there. */
    async function moveHome(what: string): Promise<void> {
      const home = berth.newPath();
      const left = (await berth.files()).map((name) => join(berth.directory, name));
      assert.equal((await berth.move(home, ['--flatten', '--delete-source']).result()).outcome, 'moved');
      await expectWhole(berth, what, { on: home, besides: left, restart: false });
    }

    it('while copying: the move goes on', async () => {
      const ferry = berth.move(join(small.directory, 'a.qcow2'), ['--flatten', '--bandwidth', '1M']);
      await ferry.copying();
      await small.freeze();
      await ferry.warning('destination-silent');
      await berth.guest.waitForWrites(60);
      await small.thaw();
      await unlimited();
      assert.equal((await ferry.result()).outcome, 'moved');
      await moveHome('hung while copying');
    });

    it('when ready: the pivot is not ordered before it does', async () => {
      const path = join(small.directory, 'b.qcow2');
      assert.equal((await berth.move(path, ['--flatten', '--hold']).result()).outcome, 'ready');
      await small.freeze();
      const pivot = berth.pivot();
      await pivot.warning('destination-silent');
      await berth.guest.waitForWrites(60);
      assert.ok(!pivot.lines.some((line) => line.type === 'step' && line.step === 'pivot'));
      await small.thaw();
      const { outcome, error } = await pivot.result();
      assert.equal(outcome, 'moved', JSON.stringify(error));
      await moveHome('hung at the pivot');
    });
  });
});
