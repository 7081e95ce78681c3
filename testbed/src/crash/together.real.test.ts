// Two disks moved as one, through deaths of blockferry and of QEMU: both end on the same side, and nothing is lost.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { connect } from '@blockferry/libvirt';
import { afterAll, beforeAll, it } from 'vitest';
import { nbdServer } from '../faults/nbd-server.ts';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { run } from '../process/run.ts';
import { until } from '../process/until.ts';
import { startHarbour } from './berth.ts';
import { ends, refuses } from './endings.ts';
import { makePair, type Pair } from './pair.ts';

type Way = 'resume' | 'abort';

/** Where only a group can be half; all steps, by both ways out: BLOCKFERRY_SWEEP=all. */
const TELLING: readonly (readonly [string, Way])[] = [
  ['record', 'resume'],
  ['freeze', 'abort'],
  ['copy-layers#2', 'resume'],
  ['finish-leg', 'abort'],
  ['close', 'resume'],
];
const every = process.env.BLOCKFERRY_SWEEP === 'all';

let host: LibvirtHost;
let pair: Pair;
beforeAll(async () => {
  host = await startHarbour();
  pair = await makePair(host, 'pair');
});
afterAll(async () => {
  await host.stop();
});

const off = () =>
  until('the end of the domain', async () => ((await pair.state()) === 'shut off' ? true : undefined));

it('both go in one snapshot, a drive without a medium stays, one disk alone cannot be taken back, and both can', async () => {
  const held = pair.moveAll(await pair.newDirectory(), ['--hold']);
  await ends(held, 'ready');
  assert.equal(held.passed('step-done').filter((step) => step.startsWith('freeze')).length, 1);
  assert.match(await held.warning('left-out'), /^sda/);
  await refuses(pair.ferry(['abort', pair.name, 'vdb']), 'part-of-group');
  await ends(pair.ferry(['abort', pair.name]), 'back');
  await pair.expectWhole('held, then aborted');
});

it('the guard hears the writes of both', async () => {
  await using connection = await connect(host.uri);
  const domain = await connection.lookupDomainByName(pair.name);
  const writesOf = async (disk: string) => (await domain.blockStats(disk)).wr_operations;
  const [first, second] = [await writesOf('vda'), await writesOf('vdb')];
  const all = await writesOf('');
  assert.ok(typeof first === 'bigint' && typeof second === 'bigint' && typeof all === 'bigint');
  assert.ok(first > 0n && second > 0n && all >= first + second, `${all} of ${first} and ${second}`);
});

/** Kills a move after the step; both ways out leave both disks on the same side. */
async function killAfter(name: string, way: Way): Promise<void> {
  const what = `after ${name}, then ${way}`;
  const directory = await pair.newDirectory();
  await pair.moveAll(directory, [], { at: 'step-done', name }).gone();
  const { outcome, error } = await pair.ferry([way, pair.name]).result();
  if (outcome === 'back') {
    // Of a group that is not on record as a whole, what there is can only be taken back.
    assert.ok(way === 'abort' || name === 'record', what);
    await pair.expectWhole(what);
    return;
  }
  const nothing = outcome === 'nothing' || error?.code === 'no-open-move';
  assert.ok(outcome === 'moved' || nothing, `${what}: ${outcome} ${JSON.stringify(error)}`);
  await pair.expectMoved(what, directory);
}

it('blockferry is killed after a step', async () => {
  if (!every) {
    for (const [name, way] of TELLING) await killAfter(name, way);
    return;
  }
  const directory = await pair.newDirectory();
  const course = pair.moveAll(directory);
  await ends(course, 'moved');
  await pair.expectMoved('undisturbed', directory);
  for (const name of course.passed('step-done')) {
    for (const way of ['resume', 'abort'] as const) await killAfter(name, way);
  }
}, 3_600_000);

it('libvirtd is killed and started again: the same blockferry goes on', async () => {
  for (const name of ['freeze', 'start-leg', 'finish-leg']) {
    const directory = await pair.newDirectory();
    const ferry = pair.moveAll(directory, [], { at: 'step-done', name, signal: 'SIGSTOP' });
    await ferry.halted(name);
    await host.restartLibvirtd();
    ferry.cont();
    await ends(ferry, 'moved');
    await pair.expectMoved(`libvirtd killed after ${name}`, directory);
  }
});

it('the other follows to a server that hangs when that answers, though an abort came too late', async () => {
  const directory = await pair.newDirectory();
  const path = join(host.directory, 'guest', 'follows.raw');
  await run(['truncate', '-s', '64M', path]);
  const server = await nbdServer({ path });
  const disks = [`vda=${directory}/`, `vdb=${server.uri}`];
  const options = ['--flatten', '--guard', 'off'];
  const killed = { at: 'step-done', name: 'finish-leg' } as const;
  await pair.ferry(['move', pair.name, ...disks, ...options], killed).gone();
  server.hang();
  const abort = pair.ferry(['abort', pair.name]);
  await abort.warning('destination-silent');
  // Pivoted onto it, the guest would stand still.
  await pair.guest.waitForWrites(20, { disk: 'vdb' });
  server.resume();
  await ends(abort, 'moved');
  const home = join(directory, 'data.qcow2');
  await ends(pair.ferry(['move', pair.name, 'vdb', home, '--flatten', '--format', 'qcow2']), 'moved');
  await server.stop();
  await pair.expectMoved('followed to a server that hung', directory);
});

it('QEMU is killed when one disk is switched and the other is not: the other follows', async () => {
  const directory = await pair.newDirectory();
  const ferry = pair.moveAll(directory, [], { at: 'step-done', name: 'finish-leg', signal: 'SIGSTOP' });
  await ferry.halted('finish-leg');
  await host.killQemu(pair.name);
  await off();
  ferry.cont();
  await ends(ferry, 'moved');
  await pair.expectMoved('killed between the switches', directory, 'shut off');
});

it('a domain that is off is moved by the same command', async () => {
  const directory = await pair.newDirectory();
  await ends(pair.moveAll(directory), 'moved');
  await pair.expectMoved('off', directory, 'shut off');
  await pair.guest.start();
});

it('killed while it has paused the guest: whoever resumes lets it go on', async () => {
  const directory = await pair.newDirectory();
  const killed = { at: 'step-done', name: 'pause-guest' } as const;
  await pair.moveAll(directory, ['--group-pause'], killed).gone();
  assert.equal(await pair.state(), 'paused');
  await ends(pair.ferry(['resume', pair.name]), 'moved');
  await pair.expectMoved('killed while paused', directory);
});

it('a guest that somebody else has paused stays so', async () => {
  const directory = await pair.newDirectory();
  await pair.virsh('suspend');
  await ends(pair.moveAll(directory, ['--group-pause']), 'moved');
  assert.equal(await pair.state(), 'paused');
  await pair.virsh('resume');
  await pair.expectMoved('paused by another', directory);
});
