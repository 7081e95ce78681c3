// Block devices as destinations and as sources: equal, larger, smaller, formatted, and in use by the host itself.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainXml } from '@blockferry/libvirt';
import {
  fileAt,
  loopDevice,
  type MovingGuest,
  type Place,
  run,
  startIdle,
  startLibvirtHost,
  startMovingGuest,
} from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { allocatedBytes } from '../inspect/index.ts';

let vm: MovingGuest;
let images: string;

beforeAll(async () => {
  const host = await startLibvirtHost();
  images = host.imagesDir;
  vm = await startMovingGuest(host, { layers: ['base', 'top'] });
});

afterAll(async () => {
  await vm.mover.close();
  await vm.host.stop();
});

async function device(name: string, bytes: bigint): Promise<string> {
  const path = join(images, name);
  await run(['truncate', '-s', String(bytes), path]);
  return (await loopDevice(vm.host, path)).device;
}

const blocksOf = async (name: string) => BigInt((await stat(join(images, name))).blocks) * 512n;

/** What of a device the guest's disk is on. */
function deviceAt(path: string, format: 'raw' | 'qcow2', size?: bigint): Place {
  const file = { driver: 'host_device', filename: path };
  const slice = size === undefined ? {} : { offset: 0, size: Number(size) };
  return { source: path, format, image: { node: { driver: format, ...slice, file } } };
}

async function slicesOf(...which: readonly string[]): Promise<readonly bigint[]> {
  const xml = DomainXml.parse(await vm.host.virsh('dumpxml', vm.name, ...which));
  return xml.disk('vda')?.slices.map(({ size }) => size) ?? [];
}

test('a device of the same size is used whole', async () => {
  const equal = await device('equal', vm.chain.size);
  const { move } = await vm.move({ destination: equal, scope: 'flatten' }, deviceAt(equal, 'raw'));
  expect(await slicesOf()).toEqual([]);
  // Nobody asks a device what stands behind it; the file that does stays sparse all the same.
  expect(await allocatedBytes(vm.mover.context, move)).toBeUndefined();
  expect(await blocksOf('equal')).toBeLessThan(vm.chain.size / 2n);
});

test('of a larger one the guest sees as much as before, at the next boot too', async () => {
  const { size } = vm.chain;
  const larger = await device('larger', size + (16n << 20n));
  await vm.move({ destination: larger }, deviceAt(larger, 'raw', size));
  expect(await slicesOf()).toEqual([size]);
  expect(await slicesOf('--inactive')).toEqual([size]);
  await vm.guest.stop();
  await vm.guest.start();
  expect(await vm.host.virsh('domblkinfo', vm.name, 'vda')).toMatch(new RegExp(`Capacity: +${size}\n`));
});

test('a disk on a part of a device moves on with that part alone', async () => {
  const path = join(images, 'from-slice.qcow2');
  const asked = { destination: path, format: 'qcow2' };
  expect((await vm.mover.plan({ domain: vm.name, disk: 'vda', ...asked })).capacity).toBe(vm.chain.size);
  const { warnings } = await vm.move(asked, fileAt(path));
  // And it is told before that such a copy has no holes.
  expect(warnings.map(({ code }) => code)).toContain('no-holes');
});

test('a larger device is sliced when the definition was kept aside as well', async () => {
  const { size } = vm.chain;
  const larger = await device('larger-undefine', size + (8n << 20n));
  const asked = { destination: larger, format: 'raw', scope: 'flatten', undefine: true } as const;
  await vm.move(asked, deviceAt(larger, 'raw', size));
  expect(await slicesOf('--inactive')).toEqual([size]);
});

test('a qcow2 image on a device, made beforehand', async () => {
  const formatted = await device('formatted', vm.chain.size + (4n << 20n));
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', formatted, String(vm.chain.size)]);
  const asked = { destination: formatted, format: 'qcow2', reuseExternal: true };
  await vm.move(asked, deviceAt(formatted, 'qcow2'));
  expect(await slicesOf()).toEqual([]);
});

test('back from a device to a file in a directory, which gets a name of its own', async () => {
  const path = join(images, `${vm.name}-vda.qcow2`);
  const { move } = await vm.move({ destination: `${images}/` }, fileAt(path));
  expect(await allocatedBytes(vm.mover.context, move)).toBe(await blocksOf(`${vm.name}-vda.qcow2`));
});

test('a read-only device, a smaller one, one that is mounted, and one without the format it should have are refused', async () => {
  const ask = { domain: vm.name, disk: 'vda', scope: 'flatten', format: 'raw' } as const;
  const readOnly = await device('read-only', vm.chain.size);
  await run(['blockdev', '--setro', readOnly]);
  const refused = await vm.mover.refusal({ ...ask, destination: readOnly });
  // It would stay so for whoever gets this loop device next.
  await run(['blockdev', '--setrw', readOnly]);
  expect(refused).toMatchObject({
    code: 'destination-unusable',
    hint: expect.stringContaining('--setrw'),
  });
  const smaller = await device('smaller', vm.chain.size - 512n);
  expect(await vm.mover.refusal({ ...ask, destination: smaller })).toMatchObject({ code: 'size-differs' });
  const blank = await device('blank', vm.chain.size);
  const qcow2 = { ...ask, destination: blank, format: 'qcow2' };
  expect(await vm.mover.refusal(qcow2)).toMatchObject({ code: 'destination-unusable' });
  await run(['mke2fs', '-q', '-F', '-L', 'precious', blank]);
  // Not mounted it is no reason against, but the operator may have meant another one.
  const { warnings } = await vm.mover.plan({ ...ask, destination: blank });
  expect(warnings).toContainEqual({
    code: 'destination-holds-data',
    message: `${blank} holds ext2 called precious, which will be overwritten`,
  });
  const mountpoint = join(images, 'mounted');
  await run(['mkdir', mountpoint]);
  await run(['mount', blank, mountpoint]);
  try {
    const refusal = await vm.mover.refusal({ ...ask, destination: blank });
    expect(refusal).toMatchObject({
      code: 'destination-in-use',
      message: expect.stringContaining(mountpoint),
    });
  } finally {
    await run(['umount', mountpoint]);
  }
});

test('a device of which another domain uses a partition, and one that is a part of another domain’s disk, are refused', async () => {
  const ask = { domain: vm.name, disk: 'vda', scope: 'flatten', format: 'raw' } as const;
  const whole = await device('parted', 2n * vm.chain.size + (8n << 20n));
  const size = `${vm.chain.size >> 20n}M`;
  await run(['sh', '-c', 'printf "label: gpt\n,$2\n,$2\n" | sfdisk -q "$1"', 'sh', whole, size]);
  await run(['partx', '-a', whole]);
  const first = `${whole}p1`;
  const disk = (path: string) =>
    `<disk type='block' device='disk'><driver name='qemu' type='raw'/><source dev='${path}'/><target dev='vda' bus='virtio'/></disk>`;
  const refusal = { code: 'destination-in-use', message: expect.stringContaining('is used by neighbour') };
  try {
    const { warnings } = await vm.mover.plan({ ...ask, destination: whole });
    expect(warnings.map(({ message }) => message)).toContain(
      `${whole} holds a partition table (gpt), which will be overwritten`,
    );
    await startIdle(vm.host, { name: 'neighbour', disks: [disk(first)], as: 'off' });
    expect(await vm.mover.refusal({ ...ask, destination: whole })).toMatchObject(refusal);
    await vm.host.virsh('undefine', 'neighbour');
    await startIdle(vm.host, { name: 'neighbour', disks: [disk(whole)], as: 'off' });
    expect(await vm.mover.refusal({ ...ask, destination: first })).toMatchObject(refusal);
  } finally {
    await vm.host.virsh('undefine', 'neighbour').catch(() => undefined);
    await run(['partx', '-d', whole]);
  }
});

test('the file behind a loop device that another domain uses, and a loop device on its file, are refused', async () => {
  const loop = await device('behind', vm.chain.size);
  const file = join(images, 'behind');
  const ask = { domain: vm.name, disk: 'vda', scope: 'flatten', format: 'raw', reuseExternal: true } as const;
  const disk = (type: 'block' | 'file', source: string) =>
    `<disk type='${type}' device='disk'><driver name='qemu' type='raw'/><source ${source}/><target dev='vda' bus='virtio'/></disk>`;
  for (const [used, destination] of [
    [disk('block', `dev='${loop}'`), file],
    [disk('file', `file='${file}'`), loop],
  ] as const) {
    await startIdle(vm.host, { name: 'neighbour', disks: [used], as: 'off' });
    const refused = await vm.mover
      .refusal({ ...ask, destination })
      .finally(() => vm.host.virsh('undefine', 'neighbour'));
    expect(refused).toMatchObject({
      code: 'destination-in-use',
      message: expect.stringContaining('is used by neighbour'),
    });
  }
});
