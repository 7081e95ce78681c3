// Strategy `layered` into a libvirt pool whose volumes are files: every image of the chain becomes a volume.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  fileAt,
  type MovingGuest,
  removeIdle,
  startIdle,
  startLibvirtHost,
  startMovingGuest,
} from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';

let vm: MovingGuest;
let volumes: string;

beforeAll(async () => {
  const host = await startLibvirtHost();
  volumes = join(host.imagesDir, 'volumes');
  vm = await startMovingGuest(host);
  await host.virsh('pool-define-as', 'pool', 'dir', '--target', volumes);
  await host.virsh('pool-build', 'pool');
  await host.virsh('pool-start', 'pool');
});
afterAll(async () => {
  await vm?.mover.close();
  await vm?.host.stop();
});

const volumeNames = async (pool = 'pool') => {
  const lines = (await vm.host.virsh('vol-list', pool)).split('\n').slice(2);
  return lines.flatMap((line) => line.trim().split(/ +/)[0] || []).sort();
};

const ask = () => {
  const how = { strategy: 'layered', scope: 'chain', destination: 'pool:pool' } as const;
  return { domain: vm.name, disk: 'vda', ...how };
};

test('undone, it leaves no file and no volume, though the pool was refreshed meanwhile', async () => {
  expect((await vm.mover.move({ ...ask(), hold: true })).ending).toEqual({ kind: 'ready' });
  await vm.host.virsh('pool-refresh', 'pool');
  expect((await vm.mover.change(vm.name, { goal: 'abort' })).ending.kind).toBe('back');
  expect(await readdir(volumes)).toEqual([]);
  expect(await volumeNames()).toEqual([]);
  await vm.proveWritesKept(fileAt(vm.chain.top.path).image);
});

test('a chain keeps its shape, and libvirt knows its images', async () => {
  await vm.move(ask(), fileAt(join(volumes, 'snap2.qcow2')));
  const names = ['base.qcow2', 'snap1.qcow2', 'snap2.qcow2'];
  expect(await readdir(volumes).then((found) => found.sort())).toEqual(names);
  expect(await volumeNames()).toEqual(names);
});

test('a volume that is there already is refused, by whatever image of the chain', async () => {
  await startIdle(vm.host, {
    name: 'other',
    disks: [{ target: 'vda', path: vm.chain.top.path, format: 'qcow2' }],
  });
  const other = { ...ask(), domain: 'other' };
  expect((await vm.mover.refusal(other)).code).toBe('destination-exists');
  const named = { ...other, destination: 'pool:pool/named.qcow2' };
  expect((await vm.mover.refusal(named)).code).toBe('destination-exists');
});

test('moved on by the path of another pool, its sources deleted: both pools show what is in them', async () => {
  const directory = join(vm.host.imagesDir, 'other');
  await vm.host.virsh('pool-create-as', 'other', 'dir', '--target', directory, '--build');
  const how = { strategy: 'layered', scope: 'chain', options: { deleteSource: true } } as const;
  // The idle one that stands on the same images has no part in it.
  await removeIdle(vm.host, 'other');
  await vm.move({ ...how, destination: `${directory}/` }, fileAt(join(directory, 'snap2.qcow2')));
  expect(await volumeNames()).toEqual([]);
  expect(await volumeNames('other')).toEqual(['base.qcow2', 'snap1.qcow2', 'snap2.qcow2']);
});
