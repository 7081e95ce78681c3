// Strategy `layered` from local files to RBD images of a real Ceph, which we make.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type CephCluster,
  fileAt,
  type MovingGuest,
  type Place,
  startCeph,
  startLibvirtHost,
  startMovingGuest,
} from '@blockferry/testbed';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { allocatedBytes } from '../inspect/index.ts';

let vm: MovingGuest;
let ceph: CephCluster;
let images: string;
let path: string;

beforeAll(async () => {
  const host = await startLibvirtHost();
  images = host.imagesDir;
  [vm, ceph] = await Promise.all([
    startMovingGuest(host, { chain: { size: 256n << 20n } }),
    startCeph({ parent: host.directory }),
  ]);
  path = vm.chain.top.path;
});
afterAll(async () => {
  await vm?.mover.close();
  await vm?.host.stop();
  await ceph?.stop();
});
afterEach(async () => {
  const left = (await readdir(images)).filter((name) => /blockferry|overlay|carrier/.test(name));
  expect(left).toEqual([]);
});

const rbdAt = (name: string): Place => {
  return {
    source: `rbd:rbd/${name}`,
    format: 'raw',
    image: { node: { driver: 'raw', file: ceph.node(name) } },
  };
};
const asked = (name: string) => {
  const how = { strategy: 'layered', scope: 'flatten' } as const;
  return { domain: vm.name, disk: 'vda', destination: ceph.uri(name), ...how };
};

test('undone before the switch: the guest writes on where it was, and the image is gone', async () => {
  expect((await vm.mover.move({ ...asked('undone'), hold: true })).ending).toEqual({ kind: 'ready' });
  expect(await ceph.images()).toEqual(['undone']);
  expect((await vm.mover.change(vm.name, { goal: 'abort' })).ending.kind).toBe('back');
  expect(await ceph.images()).toEqual([]);
  await vm.proveWritesKept(fileAt(path).image);
});

test('a chain becomes one image, sparse, and the next boot is from it', async () => {
  const { move, steps } = await vm.move(asked('web'), rbdAt('web'));
  expect(steps).toContain('copy-layers');
  expect(move.ownership).toMatchObject({ kind: 'rbd-image', claimed: true });
  const allocated = await ceph.allocated('web');
  expect(allocated).toBeLessThan(vm.chain.size / 2n);
  expect(await allocatedBytes(vm.mover.context, move)).toBe(allocated);
  await vm.guest.stop();
  await vm.guest.start();
  await vm.proveWritesKept(rbdAt('web').image);
});

test('of a domain that is off', async () => {
  path = join(images, 'home.qcow2');
  await vm.move({ destination: path, format: 'qcow2', scope: 'flatten', strategy: 'mirror' }, fileAt(path));
  await vm.guest.stop();
  expect((await vm.mover.move(asked('cold'))).ending.kind).toBe('moved');
  await vm.guest.start();
  await vm.proveWritesKept(rbdAt('cold').image);
});
