// Other people at the same domain while its disk moves: another client, an editor of definitions, a second blockferry.
import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { verifyAcknowledged } from '../guest/verify.ts';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { type Berth, makeBerth, startHarbour } from './berth.ts';
import type { Ferry } from './ferry.ts';
import { expectMoved } from './sweep.ts';
import { chainOf, expectWhole } from './whole.ts';

let host: LibvirtHost;
let berth: Berth;
beforeAll(async () => {
  host = await startHarbour();
  berth = await makeBerth(host, 'others');
});
afterAll(async () => {
  await host.stop();
});

const unlimited = () => berth.virsh('blockjob', 'vda', '--bandwidth', '0');

/** A move that lasts, so that there is time for others; something of it is copied already. */
async function lastingMove(): Promise<{ ferry: Ferry; destination: string; before: string[] }> {
  const before = await chainOf(berth.disk);
  const destination = berth.newPath();
  const ferry = berth.move(destination, ['--bandwidth', '1M']);
  await ferry.copying();
  return { ferry, destination, before };
}

async function saved(...dump: string[]): Promise<string> {
  const file = join(host.directory, 'guest', 'saved.xml');
  await writeFile(file, await berth.virsh('dumpxml', ...dump));
  return file;
}

describe('another client', () => {
  it('cancels the job: the move goes back and says who did it', async () => {
    const { ferry } = await lastingMove();
    await berth.virsh('blockjob', 'vda', '--abort');
    const { outcome, exitCode, error } = await ferry.result();
    assert.deepEqual([outcome, exitCode], ['back', 1]);
    assert.match(error?.message ?? '', /another client/);
    await expectWhole(berth, 'canceled by another', { on: berth.disk, restart: false });
  });

  it('aborts it with a second blockferry: both end with the guest on the source', async () => {
    const { ferry } = await lastingMove();
    assert.equal((await berth.abort().result()).outcome, 'back');
    assert.equal((await ferry.result()).outcome, 'back');
    await expectWhole(berth, 'aborted by a second blockferry', { on: berth.disk, restart: false });
  });
});

describe('somebody with the definitions', () => {
  it('defines the domain anew from an old file: the record comes back, and the definition is right at the end', async () => {
    const file = await saved('--inactive');
    const { ferry, destination, before } = await lastingMove();
    await host.virsh('define', file);
    await unlimited();
    assert.equal((await ferry.result()).outcome, 'moved');
    await expectMoved(berth, 'defined anew', before, destination, [], true);
  });

  it('wipes the metadata of both definitions: mirror and journal lead back to the move', async () => {
    const { ferry, destination, before } = await lastingMove();
    await ferry.kill();
    const uri = 'urn:blockferry:move:1:vda';
    await berth.virsh('metadata', uri, '--remove', '--live', '--config');
    await unlimited();
    const { outcome, error } = await berth.resume().result();
    assert.equal(outcome, 'moved', JSON.stringify(error));
    await expectMoved(berth, 'metadata wiped', before, destination, [], false);
  });

  it('undefines the domain: it moves on as a transient one', async () => {
    const { ferry, destination, before } = await lastingMove();
    await berth.virsh('undefine');
    await unlimited();
    assert.equal((await ferry.result()).outcome, 'moved');
    assert.match(await berth.virsh('dominfo'), /Persistent:\s+no/);
    // Whoever took it away brings it back, with the disk where the guest is now.
    await host.virsh('define', await saved());
    await expectMoved(berth, 'undefined meanwhile', before, destination, [], false);
  });
});

describe('somebody with the files', () => {
  it('deletes the destination before the pivot: the guest is not switched onto a name that is gone', async () => {
    const destination = berth.newPath();
    assert.equal((await berth.move(destination, ['--hold']).result()).outcome, 'ready');
    await rm(destination);
    const { outcome, exitCode, error } = await berth.pivot().result();
    assert.deepEqual([outcome, exitCode], ['back', 1]);
    assert.match(error?.message ?? '', /deleted/);
    await expectWhole(berth, 'destination deleted', { on: berth.disk, restart: false });
  });
});

describe('the operator', () => {
  it('keeps the copy instead of switching: it holds what the guest had flushed at that instant', async () => {
    const destination = berth.newPath();
    assert.equal((await berth.move(destination, ['--hold']).result()).outcome, 'ready');
    await berth.virsh('suspend');
    const said = await berth.guest.acknowledged();
    assert.equal((await berth.abort(['--keep']).result()).outcome, 'kept');
    await berth.virsh('resume');
    await berth.guest.waitForWrites(30);
    const { checked, lost } = await verifyAcknowledged({ path: destination, format: 'qcow2' }, said);
    assert.deepEqual(lost, []);
    assert.ok(checked > 0);
    await expectWhole(berth, 'kept', { on: berth.disk, besides: [destination], restart: false });
    await rm(destination);
  });

  it('may ask for what is not complete: keeping a copy that still runs is refused, and it runs on', async () => {
    const { ferry, destination, before } = await lastingMove();
    const refused = await berth.abort(['--keep']).result();
    assert.deepEqual([refused.outcome, refused.error?.code], ['refused', 'not-ready']);
    await unlimited();
    assert.equal((await ferry.result()).outcome, 'moved');
    await expectMoved(berth, 'keep refused', before, destination, [], false);
  });
});
