// Domains from one real host to another: several disks, bases that are shared, domains that are off, and what is refused.
import { copyFile, mkdir, readdir, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainXml } from '@blockferry/libvirt';
import {
  guestWriter,
  type IdleSpec,
  lostOnDisk,
  makeChain,
  run,
  startGuest,
  startIdle,
  verifyAcknowledged,
} from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, migrateNow, proveKept, TwoHosts } from '../../test/migrating.ts';
import { wantHome } from './change-goal.ts';
import type { Pair } from './pair.ts';
import { preflightMigration } from './preflight/preflight.ts';
import { type MigrationRecord, pathOf } from './record.ts';
import type { MigrationRequest } from './request.ts';
import { runMigration } from './run-migration.ts';

let hosts: TwoHosts;
let pair: Pair;
let there: string;

beforeAll(async () => {
  hosts = await TwoHosts.start();
  pair = { home: hosts.side(hosts.one), away: hosts.side(hosts.two) };
  there = hosts.two.imagesDir;
});

afterAll(async () => {
  await hosts.stop();
});

test('a running guest with two disks, one of them raw, one named as a volume: both at one instant, and nothing is lost', async () => {
  const { one, two } = hosts;
  const [here, to] = [join(one.imagesDir, 'two'), join(there, 'two')];
  await Promise.all([mkdir(here), mkdir(to)]);
  const system = await makeChain(here, ['base', 'top'], { relativeBacking: true });
  const data = await makeChain(here, ['data'], { baseFormat: 'raw' });
  await one.virsh('pool-create-as', 'two', 'dir', '--target', here);
  const guest = await startGuest(one, {
    name: 'two',
    disks: [
      { target: 'vda', type: 'volume', xml: "<source pool='two' volume='top.qcow2'/>", format: 'qcow2' },
      { target: 'vdb', ...data.top },
    ],
    writers: [guestWriter('vda', system.region), guestWriter('vdb', data.region)],
  });
  await one.virsh('autostart', 'two');
  const { migrateUri: _, ...toItsName } = ask('two', { destinationDirectory: to });
  const refused = (request: MigrationRequest = ask('two', { destinationDirectory: to })) =>
    preflightMigration(pair, request);
  await expect(refused(toItsName)).rejects.toMatchObject({ code: 'no-address' });
  // A medium that was taken out while it runs is in its drive again at the next start, if it is there.
  const medium = ['attach-disk', 'two', '/nowhere/cd.iso', 'sda', '--type', 'cdrom', '--config'];
  await one.virsh(...medium);
  await expect(refused()).rejects.toMatchObject({ code: 'missing-file' });
  await one.virsh('detach-disk', 'two', 'sda', '--config');
  const more = ['two', join(here, 'more.raw'), 'vdc', '--driver', 'qemu', '--subdriver', 'raw', '--config'];
  await one.virsh('attach-disk', ...more);
  await expect(refused()).rejects.toMatchObject({ code: 'definition-differs' });
  await one.virsh('detach-disk', 'two', 'vdc', '--config');
  const { record, ended } = await migrateNow(pair, ask('two', { destinationDirectory: to }));
  expect(record.disks.map(({ target, layers }) => [target, layers.length])).toEqual([
    ['vda', 2],
    ['vdb', 1],
  ]);
  expect(ended.verified).toBe(ended.copied);
  expect((await readdir(to)).sort()).toEqual(['base.qcow2', 'data.raw', 'top.qcow2']);
  // The link is as relative as it was.
  expect((await run(['qemu-img', 'info', '-U', join(to, 'top.qcow2')])).stdout).toMatch(
    /backing file: base.qcow2/,
  );
  expect(await two.virsh('dominfo', 'two')).toMatch(/Autostart:\s+enable/);
  await proveKept(guest, two, { vda: join(to, 'top.qcow2') });
  await two.virsh('destroy', 'two');
  const raw = { path: join(to, 'data.raw'), format: 'raw' } as const;
  expect(lostOnDisk((await verifyAcknowledged(raw, await guest.acknowledged('vdb'))).lost)).toEqual([]);
  expect((await one.virsh('list', '--all', '--name')).trim()).toBe('');
  expect(await hosts.notes()).toEqual([]);
});

test('a base that two domains share is sent once; a domain that is off, its disk a volume, is defined there and undefined here', async () => {
  const { one, two } = hosts;
  const [here, to] = [join(one.imagesDir, 'shared'), join(there, 'shared')];
  await Promise.all([mkdir(here), mkdir(to)]);
  const chain = await makeChain(here, ['base', 'first'], { fill: 4n << 20n });
  const second = join(here, 'second.qcow2');
  await copyFile(chain.top.path, second);
  await one.virsh('pool-create-as', 'shared', 'dir', '--target', here);
  for (const name of ['first', 'second']) {
    const xml = `<source pool='shared' volume='${name}.qcow2'/>`;
    const disks = [{ type: 'volume', xml, format: 'qcow2', target: 'vda' }] as const;
    await startIdle(one, { name, disks, as: 'off' });
  }
  const request = (domain: string) => ask(domain, { offline: true, destinationDirectory: to });
  const first = await migrateNow(pair, request('first'));
  const base = (await stat(join(to, 'base.qcow2'))).mtimeMs;
  const next = await migrateNow(pair, request('second'));
  expect(first.record.disks[0].layers).toHaveLength(2);
  expect(next.record.disks[0]).toMatchObject({
    layers: [{ to: { source: { path: join(to, 'second.qcow2') } } }],
    shared: [{ to: { source: { path: join(to, 'base.qcow2') } } }],
  });
  expect((await stat(join(to, 'base.qcow2'))).mtimeMs).toBe(base);
  expect(next.ended.copied).toBeLessThan(first.ended.copied);
  expect((await two.virsh('list', '--inactive', '--name')).trim().split('\n')).toEqual(
    expect.arrayContaining(['first', 'second']),
  );
  const compared = [second, join(to, 'second.qcow2')];
  await run(['qemu-img', 'compare', '-f', 'qcow2', '-F', 'qcow2', ...compared]);
  // Nobody at home shares the base any more, so nobody needs to find its copy.
  expect((await readdir(to)).sort()).toEqual(['base.qcow2', 'first.qcow2', 'second.qcow2']);
});

test('a base that two disks of a running guest share is sent once, and each has all that was written to it', async () => {
  const { one, two } = hosts;
  const [here, to] = [join(one.imagesDir, 'pair'), join(there, 'pair')];
  await Promise.all([mkdir(here), mkdir(to)]);
  const { top, region } = await makeChain(here, ['base', 'first'], { fill: 4n << 20n });
  const second = { path: join(here, 'second.qcow2'), format: 'qcow2' } as const;
  await copyFile(top.path, second.path);
  const guest = await startGuest(one, {
    name: 'pair',
    disks: [
      { target: 'vda', ...top },
      { target: 'vdb', ...second },
    ],
    writers: [guestWriter('vda', region), guestWriter('vdb', region)],
  });
  const { record, ended } = await migrateNow(pair, ask('pair', { destinationDirectory: to }));
  expect(record.disks.map(({ layers, shared }) => [layers.length, shared.length])).toEqual([
    [2, 0],
    [1, 1],
  ]);
  expect(ended.left).toEqual(['first', 'base', 'second'].map((name) => join(here, `${name}.qcow2`)));
  expect((await readdir(to)).sort()).toEqual(['base.qcow2', 'first.qcow2', 'second.qcow2']);
  await proveKept(guest, two, { vda: join(to, 'first.qcow2'), vdb: join(to, 'second.qcow2') });
});

/** As if blockferry died after this step, or to the end. */
function go(record: MigrationRecord, recorded: boolean, last?: string) {
  const stop = new AbortController();
  const afterStep = (step: string) => step === last && stop.abort();
  return runMigration(pair, record, { recorded, signal: stop.signal, report: () => {}, afterStep });
}

/** Everything at home died right after the snapshot: the guest wrote to its overlay, and libvirt does not know of it. */
async function dieFrozen(name: string) {
  const { one } = hosts;
  const [here, to] = [join(one.imagesDir, name), join(there, name)];
  await Promise.all([mkdir(here), mkdir(to)]);
  const { top } = await makeChain(here, ['base', 'top']);
  await startIdle(one, { name, disks: [{ ...top, target: 'vda' }] });
  await one.virsh('resume', name);
  const { record } = await preflightMigration(pair, ask(name, { destinationDirectory: to }));
  expect((await go(record, false, 'claim')).ending.kind).toBe('stopped');
  await one.virsh('destroy', name);
  const overlay = pathOf(record.disks[0].overlay.home);
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-b', top.path, '-F', 'qcow2', overlay]);
  await run(['qemu-io', '-f', 'qcow2', '-c', 'write -P 9 2M 64k', overlay]);
  return { record, overlay, top: top.path, here, to };
}

const DIED = ['-r', '-U', '-f', 'qcow2', '-c', 'read -P 9 2M 64k'];
const OFF = { kind: 'interrupted', why: 'domain-off' };

test('everything at home dies right after the freeze, before libvirt noted it: what the guest wrote comes along', async () => {
  const { one, two } = hosts;
  const { record, overlay, to } = await dieFrozen('along');
  expect((await go(record, true)).ending).toEqual(OFF);
  const definition = DomainXml.parse(await one.virsh('dumpxml', '--inactive', 'along'));
  expect(definition.disk('vda')?.source).toMatchObject({ path: overlay });
  await one.virsh('start', 'along');
  expect((await go(record, true)).ending.kind).toBe('migrated');
  await run(['qemu-io', ...DIED, join(to, 'top.qcow2')]);
  await two.virsh('destroy', 'along');
});

test('… or home; if it was started without it since, a person is asked', async () => {
  const { one } = hosts;
  const { record, overlay, top, here, to } = await dieFrozen('frozen');
  await run(['touch', top]);
  const asked = { kind: 'ask', question: 'both-written' };
  expect((await go(record, true)).ending).toEqual(asked);
  const wanted = await wantHome(pair, record);
  expect((await go(wanted, true)).ending).toEqual(asked);
  await run(['touch', overlay]);
  expect((await go(wanted, true)).ending.kind).toBe('back');
  await run(['qemu-io', ...DIED, top]);
  expect((await readdir(here)).sort()).toEqual(['base.qcow2', 'top.qcow2']);
  expect(await readdir(to)).toEqual([]);
  await one.virsh('undefine', 'frozen');
});

test('what cannot be done is refused, and nothing is touched on either host', async () => {
  const { one, two } = hosts;
  const [here, to] = [join(one.imagesDir, 'refused'), join(there, 'refused')];
  await Promise.all([mkdir(here), mkdir(to)]);
  const path = join(here, 'disk.qcow2');
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', path, '16M']);
  const disks = [{ path, format: 'qcow2', target: 'vda' }] as const;
  const define = (more: Partial<IdleSpec> = {}): Promise<void> =>
    startIdle(one, { name: 'refused', disks, as: 'off', ...more });
  const refusal = async (more: Partial<MigrationRequest> = {}, on = pair): Promise<unknown> => {
    const request = ask('refused', { offline: true, destinationDirectory: to, ...more });
    return preflightMigration(on, request).then(
      () => 'nothing',
      (error: unknown) => error,
    );
  };
  await define();
  expect(await refusal()).toBe('nothing');
  expect(await refusal({ offline: false })).toMatchObject({ code: 'domain-off' });
  expect(await refusal({ destinationDirectory: join(to, 'none') })).toMatchObject({
    code: 'no-such-directory',
  });
  expect(await refusal({}, { home: pair.home, away: pair.home })).toMatchObject({ code: 'same-host' });
  await run(['touch', join(to, 'disk.qcow2')]);
  expect(await refusal()).toMatchObject({ code: 'destination-exists' });
  await run(['rm', join(to, 'disk.qcow2')]);
  await one.virsh('undefine', 'refused');
  const withDevice = (extraDevices: string): Partial<IdleSpec> => ({ extraDevices });
  const cases: readonly (readonly [string, Partial<IdleSpec>])[] = [
    ['no-network', withDevice("<interface type='network'><source network='nowhere'/></interface>")],
    [
      'missing-file',
      withDevice(
        "<disk type='file' device='cdrom'><source file='/nowhere/cd.iso'/><target dev='sdc' bus='sata'/></disk>",
      ),
    ],
    ['missing-file', withDevice("<rng model='virtio'><backend model='random'>/dev/nowhere</backend></rng>")],
    ['no-such-directory', withDevice("<serial type='file'><source path='/nowhere/vm.log'/></serial>")],
    [
      'no-listen-address',
      withDevice("<graphics type='vnc'><listen type='address' address='192.0.2.1'/></graphics>"),
    ],
    ['no-cpu-model', { extraXml: "<cpu mode='custom' match='exact'><model>POWER9</model></cpu>" }],
    ['cannot-run-there', { extraXml: '<memoryBacking><hugepages/></memoryBacking>' }],
    [
      'shared-directories',
      withDevice("<filesystem type='mount'><source dir='/srv'/><target dir='srv'/></filesystem>"),
    ],
  ];
  for (const [code, change] of cases) {
    await define(change);
    expect(await refusal()).toMatchObject({ code });
    await one.virsh('undefine', 'refused');
  }
  const shared = "<shmem name='refused'><model type='ivshmem-plain'/><size unit='M'>1</size></shmem>";
  await define(withDevice(shared));
  await one.virsh('start', 'refused');
  expect(await refusal({ offline: false })).toMatchObject({ code: 'not-migratable' });
  await one.virsh('destroy', 'refused');
  await one.virsh('undefine', 'refused');
  const [ram, direct] = [
    join(to, 'ram'),
    { path, format: 'qcow2', target: 'vda', driver: { cache: 'none' } },
  ];
  await mkdir(ram);
  await run(['mount', '-t', 'ramfs', 'ramfs', ram]);
  await define({ disks: [direct as IdleSpec['disks'][number]] });
  expect(await refusal({ destinationDirectory: ram })).toMatchObject({
    code: 'no-direct-io',
    message: expect.stringMatching(/^at the destination, /),
  });
  await one.virsh('undefine', 'refused');
  await run(['umount', ram]);
  await rmdir(ram);
  await define();
  await startIdle(two, { name: 'refused', disks: [], as: 'off' });
  expect(await refusal()).toMatchObject({ code: 'name-taken' });
  await two.virsh('undefine', 'refused');
  expect(await readdir(to)).toEqual([]);
  expect(await readdir(here)).toEqual(['disk.qcow2']);
  expect(await one.virsh('dumpxml', 'refused')).not.toContain('urn:blockferry');
  expect(await hosts.notes()).toEqual([]);
});
