// The tiny guest as a machine under libvirt: what it reports is on the disk, and what it suffers is reported.
import { copyFile, readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { faultyNbdServer, nbdServer } from '../faults/nbd-server.ts';
import { makeChain, writerRegion } from '../images/chain.ts';
import { type LibvirtHost, startLibvirtHost } from '../libvirt-host/host.ts';
import { run } from '../process/run.ts';
import { until } from '../process/until.ts';
import { fioParameter } from './domain-xml.ts';
import { guestWriter, startGuest } from './guest.ts';
import { verifyAcknowledged } from './verify.ts';

let host: LibvirtHost;

beforeAll(async () => {
  host = await startLibvirtHost();
});

afterAll(() => host.stop());

const size = 16n << 20n;

test('all it reported is on its chain after a crash, a reset and a new start; a stale copy lacks some', async () => {
  const { top, region } = await makeChain(host.imagesDir, ['base', 'snap1', 'snap2'], { size });
  const writers = [guestWriter('vda', region, { rate: 'max' })];
  const guest = await startGuest(host, { name: 'lives', disks: [{ target: 'vda', ...top }], writers });
  await guest.waitForWrites(100);
  await host.virsh('reset', 'lives');
  await guest.waitUntilUp();
  await host.killQemu('lives');
  await until('libvirt noticing', async () =>
    /shut off/.test(await host.virsh('domstate', 'lives')) ? true : undefined,
  );
  const stale = { path: `${host.imagesDir}/stale.qcow2`, format: top.format };
  await copyFile(top.path, stale.path);
  await guest.start();
  await guest.waitForWrites(100);
  await guest.stop();
  const said = await guest.acknowledged();
  expect(said.lives.map((life) => life.incarnation)).toEqual([1, 2, 3]);
  expect(await verifyAcknowledged(top, said)).toEqual({ checked: expect.any(Number), lost: [] });
  expect((await verifyAcknowledged(stale, said)).lost.length).toBeGreaterThan(0);
});

test('writes to two disks at its own rate for each', async () => {
  const disks = [];
  const writers = [];
  for (const [target, rate] of [
    ['vda', 100],
    ['vdb', 20],
  ] as const) {
    const path = `${host.imagesDir}/two-${target}.raw`;
    await run(['truncate', '-s', String(size), path]);
    disks.push({ target, path, format: 'raw' as const });
    writers.push(guestWriter(target, writerRegion(size), { rate }));
  }
  const guest = await startGuest(host, { name: 'two', disks, writers });
  await guest.waitForWrites(40, { disk: 'vdb' });
  await guest.stop();
  const [fast, slow] = [await guest.stats(0, 'vda'), await guest.stats(0, 'vdb')];
  expect(fast.writes).toBeGreaterThan(slow.writes);
  for (const { target, path } of disks) {
    const { lost } = await verifyAcknowledged({ path, format: 'raw' }, await guest.acknowledged(target));
    expect(lost).toEqual([]);
  }
});

test('reports the errors of its disk and goes on when they end', async () => {
  const path = `${host.imagesDir}/failing.raw`;
  await run(['truncate', '-s', String(size), path]);
  await using server = await faultyNbdServer({ path, export: 'vol', failing: ['pwrite'] });
  const disk = { target: 'vda', type: 'network', xml: server.sourceXml, format: 'raw' } as const;
  const guest = await startGuest(host, {
    name: 'errors',
    disks: [disk],
    writers: [guestWriter('vda', writerRegion(size))],
  });
  await server.fail();
  const said = await guest.waitForReport('an error', ({ errors }) => errors.length > 0);
  expect(said.errors[0]).toMatchObject({ op: 'write', errno: 5 });
  await server.heal();
  await guest.waitForWrites(20);
  await guest.stop();
  expect((await verifyAcknowledged({ node: server.node }, await guest.acknowledged())).lost).toEqual([]);
});

test('a disk that is silent shows as a gap, while it is silent and after', async () => {
  const path = `${host.imagesDir}/silent.raw`;
  await run(['truncate', '-s', String(size), path]);
  await using server = await nbdServer({ path, export: 'vol' });
  const disk = { target: 'vda', type: 'network', xml: server.sourceXml, format: 'raw' } as const;
  const guest = await startGuest(host, {
    name: 'silent',
    disks: [disk],
    writers: [guestWriter('vda', writerRegion(size))],
  });
  const mark = await guest.mark();
  server.hang();
  await until('the gap', async () => ((await guest.stats(mark)).longestGapMs > 1000 ? true : undefined));
  server.resume();
  await guest.waitForWrites(20);
  expect((await guest.stats(mark)).longestGapMs).toBeGreaterThan(1000);
  expect((await guest.stats(await guest.mark())).writes).toBe(0);
  await guest.stop();
});

test('runs fio', async () => {
  const path = `${host.imagesDir}/fio.raw`;
  await run(['truncate', '-s', String(size), path]);
  const job = [
    '--name=job',
    '--filename=/dev/vda',
    '--rw=randwrite',
    '--bs=16k',
    '--direct=1',
    '--number_ios=50',
  ];
  const guest = await startGuest(host, {
    name: 'fio',
    memoryMiB: 256,
    program: 'fio',
    disks: [{ target: 'vda', path, format: 'raw' }],
    parameters: [fioParameter([...job, '--output-format=terse'])],
  });
  const finished = async () =>
    /^3;fio-[\d.]+;job;0;0;/m.test(await readFile(guest.serialLog, 'latin1')) ? true : undefined;
  await until('the end of fio', finished, { timeoutMs: 60_000 });
  await guest.stop();
});
