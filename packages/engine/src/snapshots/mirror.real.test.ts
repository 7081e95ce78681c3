// Strategy mirror and libvirt's snapshots: those that can come along do, the others are spoken of and nothing they need
// is deleted.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  backupSince,
  type LibvirtHost,
  Mover,
  removeIdle,
  run,
  startIdle,
  startLibvirtHost,
  writeAsGuest,
} from '@blockferry/testbed';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';

let host: LibvirtHost;
let mover: Mover;
const at = (name: string) => join(host.imagesDir, name);
const virsh = (...args: readonly string[]) => host.virsh(...args);

beforeAll(async () => {
  host = await startLibvirtHost();
  mover = new Mover(host);
});
afterAll(async () => {
  await mover.close();
  await host.stop();
});

// base <- over, made by the snapshot "monday".
beforeEach(async () => {
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at('base'), '16M']);
  await startIdle(host, { name: 'vm', disks: [{ target: 'vda', path: at('base'), format: 'qcow2' }] });
  await virsh('snapshot-create-as', 'vm', 'monday', '--disk-only', '--diskspec', `vda,file=${at('over')}`);
});
afterEach(async () => {
  await removeIdle(host, 'vm');
  await run(['sh', '-c', 'rm -rf "$1"/*', 'sh', host.imagesDir]);
});

const ask = { domain: 'vm', disk: 'vda' };
const dump = () => virsh('snapshot-dumpxml', 'vm', 'monday', '--security-info');
const exists = (name: string) =>
  stat(at(name)).then(
    () => true,
    () => false,
  );
const inside = async (name: string) => (await run(['qemu-img', 'snapshot', '-U', '-l', at(name)])).stdout;
const said = (warnings: readonly { readonly code: string; readonly message: string }[]) =>
  warnings.filter(({ code }) => code === 'snapshot-stays').map(({ message }) => message);

test('shallow: the snapshot names the new image, and nothing else in it has changed', async () => {
  const before = await dump();
  const moved = await mover.move({ ...ask, destination: at('copy') });
  expect(moved.ending.kind).toBe('moved');
  expect(said(moved.warnings)).toEqual([]);
  expect(await dump()).toBe(before.replaceAll(at('over'), at('copy')));
  expect(await dump()).not.toBe(before);
  expect((await virsh('snapshot-current', 'vm', '--name')).trim()).toBe('monday');
});

test('shallow: snapshots inside and beside the images, and a checkpoint, are used after it as before', async () => {
  const write = (offset: number, pattern?: number) => writeAsGuest(host, 'used', offset, pattern);
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at('deep'), '16M']);
  await startIdle(host, { name: 'used', disks: [{ target: 'vda', path: at('deep'), format: 'qcow2' }] });
  await write(1, 1);
  await virsh('snapshot-create-as', 'used', 'inside');
  await write(1, 2);
  const beside = ['--disk-only', '--diskspec', `vda,file=${at('upon')}`];
  await virsh('snapshot-create-as', 'used', 'beside', ...beside);
  await virsh('checkpoint-create-as', 'used', 'tuesday');
  await write(3);
  const tree = await virsh('snapshot-list', 'used', '--tree');
  const moved = await mover.move({
    domain: 'used',
    disk: 'vda',
    strategy: 'mirror',
    destination: at('copy'),
  });
  expect(moved).toMatchObject({ ending: { kind: 'moved' }, warnings: [] });
  expect(await virsh('snapshot-list', 'used', '--tree')).toBe(tree);
  await write(5);
  expect(await backupSince(host, 'used', 'tuesday')).toEqual([3, 5]);
  // QEMU itself goes back to no snapshot of a disk that has a bitmap, moved or not.
  await virsh('checkpoint-delete', 'used', 'tuesday');
  await virsh('snapshot-revert', 'used', 'inside');
  expect(await virsh('domblklist', 'used')).toContain(` ${at('deep')}\n`);
  await virsh('snapshot-delete', 'used', 'inside');
  expect(await inside('deep')).toBe('');
  await run(['qemu-io', '-U', '-r', '-f', 'qcow2', '-c', 'read -P 1 1M 64k', at('deep')]);
  await virsh('snapshot-delete', 'used', 'beside', '--metadata');
  await removeIdle(host, 'used');
});

test('the active image alone has a snapshot inside: a mirror is refused, and what keeps it is chosen', async () => {
  await virsh('snapshot-create-as', 'vm', 'inside');
  for (const scope of ['shallow', 'flatten'] as const) {
    const refused = await mover.refusal({ ...ask, scope, strategy: 'mirror', destination: at('copy') });
    expect(refused).toMatchObject({ code: 'internal-snapshots', hint: expect.stringContaining('layered') });
  }
  const moved = await mover.move({ ...ask, scope: 'shallow', destination: at('copy') });
  expect(moved).toMatchObject({ ending: { kind: 'moved' }, move: { strategy: 'layered' } });
  expect(said(moved.warnings)).toEqual([]);
  expect(await inside('copy')).toContain('inside');
  await virsh('snapshot-revert', 'vm', 'inside');
  expect(await virsh('domblklist', 'vm')).toContain(` ${at('copy')}\n`);
});

test('shallow, with --delete-source: the old image goes, for the snapshot needs it no more', async () => {
  const moved = await mover.move({ ...ask, destination: at('copy'), options: { deleteSource: true } });
  expect(moved.ending.kind).toBe('moved');
  expect(await Promise.all(['over', 'base'].map(exists))).toEqual([false, true]);
  expect(await dump()).toContain(at('copy'));
});

test('flattened: said before anything is touched, and after it; the snapshot is as it was', async () => {
  const before = await dump();
  const planned = await mover.plan({ ...ask, scope: 'flatten', destination: at('flat') });
  expect(said(planned.warnings)).toEqual([expect.stringContaining('monday')]);
  const moved = await mover.move({ ...ask, scope: 'flatten', destination: at('flat') });
  expect(moved.ending.kind).toBe('moved');
  expect(said(moved.warnings)).toContainEqual(expect.stringContaining(at('base')));
  expect(await dump()).toBe(before);
});

test('flattened, with --delete-source: what the snapshot needs is kept', async () => {
  const flatten = { ...ask, scope: 'flatten', options: { deleteSource: true } } as const;
  const moved = await mover.move({ ...flatten, destination: at('flat') });
  expect(moved.ending.kind).toBe('moved');
  expect(await Promise.all(['over', 'base'].map(exists))).toEqual([true, true]);
  expect(moved.warnings).toContainEqual(
    expect.objectContaining({
      code: 'source-in-use',
      message: expect.stringContaining('snapshot monday of vm needs it'),
    }),
  );
});

test("--delete-source keeps the base that the snapshot of another domain's abandoned overlay stands on", async () => {
  await virsh('snapshot-delete', 'vm', 'monday', '--metadata');
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-b', at('base'), '-F', 'qcow2', at('theirs')]);
  await startIdle(host, {
    name: 'other',
    disks: [{ target: 'vda', path: at('theirs'), format: 'qcow2' }],
    as: 'off',
  });
  await virsh('snapshot-create-as', 'other', 'old');
  await virsh('detach-disk', 'other', 'vda', '--config');
  const flatten = { ...ask, scope: 'flatten', options: { deleteSource: true } } as const;
  const moved = await mover.move({ ...flatten, destination: at('flat') });
  expect(moved.ending.kind).toBe('moved');
  expect(await Promise.all(['over', 'base'].map(exists))).toEqual([false, true]);
  await removeIdle(host, 'other');
});
