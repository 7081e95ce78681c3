// Which image a QEMU writes, asked around libvirt. A domain that is started between two questions of one look is not lost.
import { join } from 'node:path';
import { type Host, localHost } from '@blockferry/qemu';
import {
  type LibvirtHost,
  loopDevice,
  removeIdle,
  run,
  startIdle,
  startLibvirtHost,
} from '@blockferry/testbed';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { StartedMeanwhile } from '../model/errors.ts';
import { OpenMoves } from '../record/open-moves.ts';
import { Link } from '../run/link.ts';
import { readDefinitions } from './definitions.ts';
import { whereQemuWrites } from './qemu-writes.ts';

let host: LibvirtHost;
let tools: Host;
let link: Link;
beforeAll(async () => {
  host = await startLibvirtHost();
  tools = localHost();
  link = new Link(host.uri);
});
afterEach(() => removeIdle(host, 'vm'));
afterAll(async () => {
  await link.close();
  await tools.close();
  await host.stop();
});

const context = () => ({
  link,
  host: tools,
  openMoves: new OpenMoves(tools, join(host.directory, 'state')),
});
const uuidOf = async () => (await host.virsh('domuuid', 'vm')).trim();

test('off by one answer, and with its images open by the next: another look is asked for', async () => {
  const path = join(host.imagesDir, 'disk.qcow2');
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', path, '64M']);
  await startIdle(host, { name: 'vm', disks: [{ target: 'vda', path, format: 'qcow2' }], as: 'off' });
  const uuid = await uuidOf();
  const image = (file: string) => ({ source: { kind: 'file', path: file }, format: 'qcow2' }) as const;
  const origin = image(path);
  const ends = { domain: { name: 'vm', uuid }, disk: 'vda', origin, destination: image(`${path}.copy`) };
  const off = await readDefinitions(await link.connection(), uuid);
  expect(await whereQemuWrites(context(), ends, off)).toBe('nobody');
  await host.virsh('start', '--paused', 'vm');
  await expect(whereQemuWrites(context(), ends, off)).rejects.toBeInstanceOf(StartedMeanwhile);
});

test('of a device nobody sees the lock of a QEMU that libvirt lost: it may write there', async () => {
  const path = join(host.imagesDir, 'device.raw');
  await run(['truncate', '-s', '16M', path]);
  await using loop = await loopDevice(host, path);
  await startIdle(host, { name: 'vm', disks: [{ target: 'vda', device: loop.device, format: 'raw' }] });
  const ends = {
    domain: { name: 'vm', uuid: await uuidOf() },
    disk: 'vda',
    origin: { source: { kind: 'block', path: loop.device }, format: 'raw' },
    destination: { source: { kind: 'file', path: `${path}.copy` }, format: 'raw' },
  } as const;
  expect(await whereQemuWrites(context(), ends, undefined)).toBe('unclear');
  await removeIdle(host, 'vm');
});

test('a server has no locks: a QEMU that holds the origin may have gone there', async () => {
  const path = join(host.imagesDir, 'disk.raw');
  await run(['truncate', '-s', '16M', path]);
  await startIdle(host, { name: 'vm', disks: [{ target: 'vda', path, format: 'raw' }] });
  const server = {
    kind: 'network',
    protocol: 'nbd',
    hosts: [{ transport: 'unix', socket: `${path}.sock` }],
  } as const;
  const ends = {
    domain: { name: 'vm', uuid: await uuidOf() },
    disk: 'vda',
    origin: { source: { kind: 'file', path }, format: 'raw' },
    destination: { source: server, format: 'raw' },
  } as const;
  expect(await whereQemuWrites(context(), ends, undefined)).toBe('both');
});
