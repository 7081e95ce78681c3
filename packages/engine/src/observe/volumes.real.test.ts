// Disks that their definition names by pool and volume: moved and undone like those named by path.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  fileAt,
  guestWriter,
  Mover,
  MovingGuest,
  makeChain,
  readTexts,
  run,
  startGuest,
  startIdle,
  startLibvirtHost,
} from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inspectChains, listDomains, preflightCopies, readUsage, runGroup, usesOf } from '../index.ts';

let vm: MovingGuest;
const at = (name: string) => join(vm.host.imagesDir, name);
const vda = { domain: 'vm', disk: 'vda' };
const volume = (name: string) =>
  ({ type: 'volume', xml: `<source pool='pool' volume='${name}'/>`, format: 'qcow2' }) as const;

beforeAll(async () => {
  const host = await startLibvirtHost();
  const chain = await makeChain(host.imagesDir, ['base', 'snap1', 'snap2']);
  await host.virsh('pool-define-as', 'pool', 'dir', '--target', host.imagesDir);
  await host.virsh('pool-start', 'pool');
  const region = { offset: chain.region.offset, length: 512n * 1024n };
  const guest = await startGuest(host, {
    name: 'vm',
    disks: [{ target: 'vda', ...volume('snap2.qcow2') }],
    writers: [guestWriter('vda', region, { rate: 100 })],
  });
  vm = new MovingGuest(host, guest, chain, new Mover(host));
  await mkdir(at('layers'));
});
afterAll(async () => {
  await vm?.mover.close();
  await vm?.host.stop();
});

const layered = () =>
  ({ ...vda, strategy: 'layered', scope: 'chain', destination: `${at('layers')}/` }) as const;

test('is shown by its path, and with those who name the same file by its path', async () => {
  const { path, format } = vm.chain.top;
  await startIdle(vm.host, { name: 'by-path', disks: [{ target: 'vda', path, format }], as: 'off' });
  const [, shown] = await listDomains(vm.mover.context);
  expect(shown?.disks.map(({ source }) => source)).toEqual([path]);
  const users = async (domain: string) => {
    const [chain] = await inspectChains(vm.mover.context, domain, 'vda');
    return chain?.images.map(({ usedBy }) => usedBy.map((use) => use.domain));
  };
  expect(await users('vm')).toEqual([['by-path'], ['by-path'], ['by-path']]);
  expect(await users('by-path')).toEqual([['vm'], ['vm'], ['vm']]);
  await vm.host.virsh('undefine', 'by-path');
});

test('of a pool that is a directory and not active, what a domain that is off stands on is known', async () => {
  const { host, mover } = vm;
  await mkdir(at('idle'));
  const base = { kind: 'file', path: at('base.qcow2') } as const;
  const backing = ['-b', base.path, '-F', 'qcow2'];
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', ...backing, at('idle/clone.qcow2')]);
  await host.virsh('pool-define-as', 'idle', 'dir', '--target', at('idle'));
  const xml = "<source pool='idle' volume='clone.qcow2'/>";
  const disk = { target: 'vda', type: 'volume', xml, format: 'qcow2' } as const;
  await startIdle(host, { name: 'clone', disks: [disk], as: 'off' });
  const usage = await readUsage(await mover.context.link.connection(), mover.context.host);
  expect(usage.unknown).toEqual([]);
  expect(usesOf(usage, base).map(({ domain }) => domain)).toContain('clone');
  await host.virsh('undefine', 'clone');
  await host.virsh('pool-undefine', 'idle');
});

test.each([
  ['mirror', () => ({ ...vda, destination: at('copy.qcow2') })],
  ['layered', layered],
])(
  'undone with strategy %s, its pool inactive by then, both definitions are what they were',
  async (_, ask) => {
    const before = await readTexts(vm.host, 'vm');
    expect(before.persistent).toContain("<source pool='pool' volume='snap2.qcow2'/>");
    expect((await vm.mover.move({ ...ask(), hold: true })).ending).toEqual({ kind: 'ready' });
    await vm.host.virsh('pool-destroy', 'pool');
    expect((await vm.mover.change('vm', { goal: 'abort' })).ending.kind).toBe('back');
    await vm.host.virsh('pool-start', 'pool');
    const after = await readTexts(vm.host, 'vm');
    const plain = (text = '') => text.replaceAll(/ index='\d+'/g, '');
    expect(plain(after.live)).toBe(plain(before.live));
    expect(after.persistent).toBe(before.persistent);
    await vm.proveWritesKept(fileAt(vm.chain.top.path).image);
  },
);

test('refused while its pool does not tell where it is, or tells another place than the guest’s', async () => {
  const ask = { ...vda, destination: at('copy.qcow2') };
  const pool = async (target: string) => {
    await vm.host.virsh('pool-destroy', 'pool');
    await vm.host.virsh('pool-undefine', 'pool');
    await vm.host.virsh('pool-define-as', 'pool', 'dir', '--target', target);
  };
  await pool(at('layers'));
  const inactive = await vm.mover.refusal(ask);
  expect(inactive).toMatchObject({ code: 'pool-inactive', hint: 'start it: virsh pool-start pool' });
  await vm.host.virsh('pool-start', 'pool');
  expect((await vm.mover.refusal(ask)).code).toBe('no-such-image');
  await vm.host.virsh('vol-create-as', 'pool', 'snap2.qcow2', '64M', '--format', 'qcow2');
  expect((await vm.mover.refusal(ask)).code).toBe('volume-elsewhere');
  await vm.host.virsh('vol-delete', '--pool', 'pool', 'snap2.qcow2');
  await pool(vm.host.imagesDir);
  await vm.host.virsh('pool-start', 'pool');
});

test('copied while its domain is off, it is named as before', async () => {
  await vm.host.virsh('vol-create-as', 'pool', 'off.qcow2', '1M', '--format', 'qcow2');
  await startIdle(vm.host, { name: 'off', disks: [{ target: 'vda', ...volume('off.qcow2') }], as: 'off' });
  const before = await readTexts(vm.host, 'off');
  const { disks } = await preflightCopies(vm.mover.context, {
    domain: 'off',
    disks: [{ disk: 'vda', destination: at('copied.qcow2') }],
    scope: 'flatten',
    verify: true,
    quiesce: 'auto',
  });
  const moves = disks.map(({ move }) => move);
  const run = { signal: AbortSignal.timeout(60_000), report: () => {} };
  const { disks: ended } = await runGroup(vm.mover.context, moves, run);
  expect(ended.map(({ ending }) => ending.kind)).toEqual(['copied']);
  expect(await readTexts(vm.host, 'off')).toEqual(before);
});

test('a move goes on with a guest that was started anew', async () => {
  expect((await vm.mover.move({ ...layered(), hold: true })).ending).toEqual({ kind: 'ready' });
  await vm.guest.stop();
  await vm.guest.start();
  expect((await vm.mover.change('vm', { goal: 'pivot' })).ending.kind).toBe('moved');
  await vm.proveWritesKept(fileAt(at('layers/snap2.qcow2')).image);
});
