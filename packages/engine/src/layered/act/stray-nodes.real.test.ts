// What a libvirtd that was killed in a pivot leaves in QEMU does not keep a move from its end.
import { join } from 'node:path';
import {
  type LibvirtHost,
  loopDevice,
  Mover,
  removeIdle,
  run,
  startIdle,
  startLibvirtHost,
} from '@blockferry/testbed';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

let host: LibvirtHost;
let mover: Mover;
const at = (name: string) => join(host.imagesDir, name);

beforeAll(async () => {
  host = await startLibvirtHost();
  mover = new Mover(host);
});
afterEach(() => removeIdle(host, 'vm'));
afterAll(async () => {
  await mover.close();
  await host.stop();
});

type Node = { readonly 'node-name': string; readonly file: string };

async function qmp(execute: string, more: object = {}): Promise<readonly Node[]> {
  const said = await host.virsh('qemu-monitor-command', 'vm', JSON.stringify({ execute, arguments: more }));
  return JSON.parse(said).return;
}

/** How many blocks libvirt's counter is ahead of what it has used. */
async function strayName(distance: number): Promise<string> {
  const nodes = await qmp('query-named-block-nodes', { flat: true });
  const numbers = nodes.map((node) => Number(/^libvirt-(\d+)-/.exec(node['node-name'])?.[1] ?? 0));
  return `libvirt-${Math.max(...numbers) + distance}`;
}

test.each([
  ['under the name that libvirt takes next: the pivot is ordered again', 1],
  ['under any name: they lock the image that is committed into', 50],
])('nodes of the copies, %s', async (_, distance) => {
  await run(['sh', '-c', 'rm -rf "$1"/*; mkdir "$1"/new', 'sh', host.imagesDir]);
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at('base'), '64M']);
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-b', at('base'), '-F', 'qcow2', at('top')]);
  await startIdle(host, { name: 'vm', disks: [{ target: 'vda', path: at('top'), format: 'qcow2' }] });
  const ask = { domain: 'vm', disk: 'vda', strategy: 'layered', scope: 'chain' } as const;
  const held = await mover.move({ ...ask, destination: at('new/'), hold: true });
  expect(held.ending.kind).toBe('ready');
  const name = await strayName(distance);
  const file = { driver: 'file', filename: at('new/top'), 'read-only': true };
  await qmp('blockdev-add', { ...file, 'node-name': `${name}-storage` });
  await qmp('blockdev-add', {
    driver: 'qcow2',
    'node-name': `${name}-format`,
    'read-only': true,
    file: `${name}-storage`,
    backing: null,
  });
  expect((await mover.change('vm', { goal: 'pivot' })).ending.kind).toBe('moved');
  // What is left is libvirt's own, whatever its name.
  const storage = (await qmp('query-named-block-nodes', { flat: true })).filter(
    (node) => node.file === at('new/top') && node['node-name'].endsWith('-storage'),
  );
  expect(storage).toHaveLength(1);
});

test.each([1, 50])('nodes of a block device and of its slice, %d on', async (distance) => {
  const size = 64n << 20n;
  await run(['sh', '-c', 'rm -rf "$1"/*', 'sh', host.imagesDir]);
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at('top'), String(size)]);
  await run(['truncate', '-s', String(size + (8n << 20n)), at('larger')]);
  await using loop = await loopDevice(host, at('larger'));
  await startIdle(host, { name: 'vm', disks: [{ target: 'vda', path: at('top'), format: 'qcow2' }] });
  const ask = { domain: 'vm', disk: 'vda', strategy: 'layered', scope: 'flatten' } as const;
  expect((await mover.move({ ...ask, destination: loop.device, hold: true })).ending.kind).toBe('ready');
  const name = await strayName(distance);
  const file = { driver: 'host_device', filename: loop.device, 'read-only': true };
  await qmp('blockdev-add', { ...file, 'node-name': `${name}-storage` });
  const slice = { driver: 'raw', offset: 0, size: Number(size), 'read-only': true };
  await qmp('blockdev-add', { ...slice, 'node-name': `${name}-slice-sto`, file: `${name}-storage` });
  const format = { driver: 'raw', 'read-only': true, file: `${name}-slice-sto` };
  await qmp('blockdev-add', { ...format, 'node-name': `${name}-format` });
  expect((await mover.change('vm', { goal: 'pivot' })).ending.kind).toBe('moved');
  await removeIdle(host, 'vm');
});
