// NBD servers as destinations: over a unix socket and over TCP, two exports of one name, and what is refused.
import { chmod, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainXml } from '@blockferry/libvirt';
import {
  fileAt,
  freePort,
  type MovingGuest,
  type NbdServer,
  type NbdServerOptions,
  nbdServer,
  type Place,
  removeIdle,
  run,
  startIdle,
  startLibvirtHost,
  startMovingGuest,
} from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { allocatedBytes } from '../inspect/index.ts';

let vm: MovingGuest;
let images: string;
const servers: NbdServer[] = [];

beforeAll(async () => {
  const host = await startLibvirtHost();
  images = host.imagesDir;
  vm = await startMovingGuest(host, { layers: ['base', 'top'] });
});

afterAll(async () => {
  await vm.mover.close();
  await vm.host.stop();
  for (const server of servers) await server.stop();
});

/** Serves a new raw image. */
async function serve(
  name: string,
  options: Partial<NbdServerOptions> = {},
  bytes = vm.chain.size,
): Promise<{ server: NbdServer; place: Place }> {
  const path = join(images, name);
  await run(['truncate', '-s', String(bytes), path]);
  const server = await nbdServer({ path, export: 'vol', ...options });
  servers.push(server);
  const { uri } = server;
  return { server, place: { source: uri, format: 'raw', image: { path, format: 'raw' } } };
}

test('an export on a unix socket, by its URI: sparse, as far as it tells and as it is', async () => {
  const { server, place } = await serve('unix.raw');
  const { move } = await vm.move({ destination: server.uri, scope: 'flatten' }, place);
  const { blocks } = await stat(join(images, 'unix.raw'));
  expect(BigInt(blocks) * 512n).toBeLessThan(vm.chain.size / 2n);
  expect(await allocatedBytes(vm.mover.context, move)).toBeLessThan(vm.chain.size / 2n);
});

test('of a larger export the guest sees as much as before', async () => {
  const { size } = vm.chain;
  const { server, place } = await serve('larger.raw', {}, size + (8n << 20n));
  await vm.move({ destination: server.uri }, place);
  const config = DomainXml.parse(await vm.host.virsh('dumpxml', '--inactive', vm.name));
  expect(config.disk('vda')?.slices).toEqual([{ offset: 0n, size }]);
});

test('the export of the same name of another server, over TCP: told apart, and moved to', async () => {
  const { server, place } = await serve('tcp.raw', { address: { port: await freePort() } });
  const { move } = await vm.mover.plan({ domain: vm.name, disk: 'vda', destination: server.uri });
  expect(move.origin.source).toMatchObject({ kind: 'network', name: 'vol' });
  await vm.move({ destination: server.uri }, place);
  // virsh shows `vol` for either.
  expect(await vm.host.virsh('domblklist', vm.name)).toMatch(/vda +vol\n/);
});

test('the default export, described by XML', async () => {
  const { server, place } = await serve('default.raw', { export: '' });
  const destinationXml = `<disk type='network'><driver name='qemu' type='raw'/>${server.sourceXml}</disk>`;
  await vm.move({ destinationXml }, place);
});

test('from a server back to a qcow2 file', async () => {
  const path = join(images, 'back.qcow2');
  await vm.move({ destination: path, format: 'qcow2' }, fileAt(path));
});

test('a server that is down, one whose socket QEMU may not use, and one of another size are refused', async () => {
  const ask = { domain: vm.name, disk: 'vda', scope: 'flatten' } as const;
  const refusal = async (destination: string) => (await vm.mover.refusal({ ...ask, destination })).code;
  const { server } = await serve('down.raw');
  await chmod(`${join(images, 'down.raw')}.nbd`, 0o600);
  expect(await refusal(server.uri)).toBe('destination-unreachable');
  await server.stop();
  expect(await refusal(server.uri)).toBe('destination-unusable');
  const small = await serve('small.raw', {}, vm.chain.size - 4096n);
  expect(await refusal(small.server.uri)).toBe('size-differs');
  const readOnly = await serve('read-only.raw', { extraArguments: ['--read-only'] });
  expect(await refusal(readOnly.server.uri)).toBe('destination-unusable');
  expect(await refusal(`nbd+unix:///other?socket=${join(images, 'small.raw')}.nbd`)).toBe(
    'destination-unusable',
  );
});

test('a server that takes one client at a time is mirrored to; for layers of more than one window it is refused', async () => {
  const path = join(images, 'big.qcow2');
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'preallocation=falloc', path, '512M']);
  await startIdle(vm.host, { name: 'big', disks: [{ target: 'vda', path, format: 'qcow2' }] });
  const { server } = await serve('one.raw', { extraArguments: ['--shared=1'] }, 512n << 20n);
  const ask = { domain: 'big', disk: 'vda', scope: 'flatten', destination: server.uri } as const;
  const { move, why } = await vm.mover.plan(ask);
  expect([move.strategy, why]).toEqual(['mirror', expect.stringContaining('one client')]);
  expect(await vm.mover.refusal({ ...ask, strategy: 'layered' })).toMatchObject({
    code: 'destination-unusable',
    message: expect.stringContaining('one client'),
  });
  await removeIdle(vm.host, 'big');
});
