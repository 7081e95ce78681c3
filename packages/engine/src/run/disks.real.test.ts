// Disks on every bus, and two disks of one domain moved at the same time by two processes.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  apartFrom,
  fileAt,
  guestWriter,
  type LibvirtHost,
  Mover,
  MovingGuest,
  makeChain,
  readTexts,
  run,
  startGuest,
  startLibvirtHost,
} from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';

const blockferry = fileURLToPath(new URL('../../../../bin/blockferry', import.meta.url));

let host: LibvirtHost;
let vm: MovingGuest;
const at = (name: string) => join(host.imagesDir, name);

beforeAll(async () => {
  host = await startLibvirtHost();
  const chain = await makeChain(host.imagesDir, ['base', 'top']);
  const other = await makeChain(host.imagesDir, ['scsi-base', 'scsi']);
  const { path } = (await makeChain(host.imagesDir, ['sata'], { files: { sata: { '/kept': 'yes' } } })).top;
  const region = { offset: chain.region.offset, length: 1n << 20n };
  const guest = await startGuest(host, {
    name: 'vm',
    disks: [
      { ...chain.top, target: 'vda' },
      { ...other.top, target: 'sda', bus: 'scsi' },
      { path, format: 'qcow2', target: 'sdb', bus: 'sata' },
    ],
    writers: ['vda', 'sda'].map((disk) => guestWriter(disk, region, { rate: 100 })),
  });
  vm = new MovingGuest(host, guest, chain, new Mover(host));
});

afterAll(async () => {
  await vm.mover.close();
  await host.stop();
});

test('a SCSI disk', async () => {
  await vm.move({ disk: 'sda', destination: at('scsi-copy.qcow2') }, fileAt(at('scsi-copy.qcow2')), 'sda');
});

test('a SATA disk', async () => {
  await vm.move({ disk: 'sdb', destination: at('sata-copy.qcow2') }, fileAt(at('sata-copy.qcow2')), 'sdb');
  const images = [at('sata.qcow2'), at('sata-copy.qcow2')];
  await run(['qemu-img', 'compare', '-U', '-f', 'qcow2', '-F', 'qcow2', ...images]);
});

test('two disks at once, each by a process of its own', async () => {
  const before = apartFrom('sda', apartFrom('vda', await readTexts(host, 'vm')));
  const state = { BLOCKFERRY_STATE_DIR: at('state') };
  const ferry = async (disk: string, to: string) => {
    const argv = [blockferry, '-c', host.uri, 'move', 'vm', disk, at(to), '--shallow', '--json'];
    const { stdout } = await run(argv, { env: state });
    return JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
  };
  const ended = await Promise.all([ferry('vda', 'both-a.qcow2'), ferry('sda', 'both-b.qcow2')]);
  expect(ended).toMatchObject([{ outcome: 'moved' }, { outcome: 'moved' }]);
  expect(apartFrom('sda', apartFrom('vda', await readTexts(host, 'vm')))).toEqual(before);
  await vm.proveWritesKept({ path: at('both-a.qcow2'), format: 'qcow2' }, 'vda');
  await vm.proveWritesKept({ path: at('both-b.qcow2'), format: 'qcow2' }, 'sda');
});

test('while one disk is on its way with the definition kept aside, another is refused, and the other way round', async () => {
  const ask = { domain: 'vm', disk: 'vda', destination: at('aside.qcow2') };
  expect((await vm.mover.move({ ...ask, undefine: true, hold: true })).ending.kind).toBe('ready');
  const second = { domain: 'vm', disk: 'sda', destination: at('second.qcow2') };
  expect(await vm.mover.refusal(second)).toMatchObject({ code: 'move-under-way' });
  expect((await vm.mover.change('vm', { goal: 'abort' })).ending.kind).toBe('back');
  expect((await vm.mover.move({ ...second, hold: true })).ending.kind).toBe('ready');
  expect(await vm.mover.refusal({ ...ask, undefine: true })).toMatchObject({ code: 'move-under-way' });
  expect((await vm.mover.change('vm', { goal: 'pivot' })).ending.kind).toBe('moved');
  await vm.proveWritesKept({ path: at('second.qcow2'), format: 'qcow2' }, 'sda');
});

test('the next boot has every disk where it ended', async () => {
  await vm.guest.stop();
  await vm.guest.start();
  const disks = await host.virsh('domblklist', 'vm');
  for (const name of ['both-a.qcow2', 'second.qcow2', 'sata-copy.qcow2']) expect(disks).toContain(at(name));
});
