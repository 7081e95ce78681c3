// Volumes of libvirt pools as destinations, and destinations that exist already: reused images and disk XML.
import { rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileAt, Mover, MovingGuest, run, startLibvirtHost, startMovingGuest } from '@blockferry/testbed';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allocatedBytes } from '../inspect/index.ts';
import { findMoves } from '../run/find-moves.ts';

let vm: MovingGuest;
let images: string;
let volumes: string;

beforeAll(async () => {
  const host = await startLibvirtHost();
  images = host.imagesDir;
  volumes = join(images, 'volumes');
  vm = await startMovingGuest(host);
  await host.virsh('pool-define-as', 'pool', 'dir', '--target', volumes);
  await host.virsh('pool-build', 'pool');
  await host.virsh('pool-start', 'pool');
});

afterAll(async () => {
  await vm.mover.close();
  await vm.host.stop();
});

const volumeNames = async () => {
  const lines = (await vm.host.virsh('vol-list', 'pool')).split('\n').slice(2);
  return lines.flatMap((line) => line.trim().split(/ +/)[0] || []).sort();
};

const allocated = async (path: string) => BigInt((await stat(path)).blocks) * 512n;

describe('a volume of a pool', () => {
  test('shallow, with a name: the rest of the chain is shared', async () => {
    const path = join(volumes, 'named.qcow2');
    const { move } = await vm.move({ destination: 'pool:pool/named.qcow2' }, fileAt(path));
    expect(move.ownership).toMatchObject({ kind: 'volume', backing: { format: 'qcow2' } });
    const [, shared] = JSON.parse(await chainOf(path));
    expect(shared.filename).toBe(join(images, 'snap1.qcow2'));
    expect(await volumeNames()).toEqual(['named.qcow2']);
  });

  test('over a connection that gives no tools on the host: shared, and removed again through libvirt', async () => {
    await using blind = new Mover(vm.host, { tools: 'none' });
    const far = new MovingGuest(vm.host, vm.guest, vm.chain, blind);
    const ask = { domain: vm.name, disk: 'vda', destination: 'pool:pool/blind.qcow2' };
    expect((await blind.move({ ...ask, hold: true })).ending).toEqual({ kind: 'ready' });
    expect((await blind.change(vm.name, { goal: 'abort' })).ending.kind).toBe('back');
    expect(await volumeNames()).not.toContain('blind.qcow2');
    const { warnings } = await far.move(ask, fileAt(join(volumes, 'blind.qcow2')));
    expect(warnings.map(({ code }) => code)).toEqual(['no-host']);
    const [, shared] = JSON.parse(await chainOf(join(volumes, 'blind.qcow2')));
    expect(shared.filename).toBe(join(images, 'snap1.qcow2'));
    const { warnings: ofFile } = await blind.plan({ ...ask, destination: join(images, 'x.qcow2') });
    expect(ofFile.map(({ code }) => code)).toContain('copy-not-removable');
    const inDirectory = await blind.plan({ ...ask, destination: `${images}/` });
    expect(inDirectory.move.destination.source).toMatchObject({ path: join(images, 'blind.qcow2') });
  });

  test('what was begun with tools on the host is not carried on without', async () => {
    await using blind = new Mover(vm.host, { tools: 'none' });
    const path = join(images, 'begun.qcow2');
    const ask = { domain: vm.name, disk: 'vda', destination: path };
    expect((await vm.mover.move({ ...ask, hold: true })).ending).toEqual({ kind: 'ready' });
    await expect(blind.change(vm.name, { goal: 'abort' })).rejects.toMatchObject({ code: 'no-host' });
    const [move] = await findMoves(blind.context, vm.name);
    if (move === undefined) expect.unreachable('no record');
    await expect(blind.run(move)).rejects.toMatchObject({ code: 'no-host' });
    expect((await vm.mover.change(vm.name, { goal: 'abort' })).ending.kind).toBe('back');
    await expect(stat(path)).rejects.toThrow('ENOENT');
  });

  test('made into one image, raw and sparse', async () => {
    const path = join(volumes, 'flat.raw');
    const { move } = await vm.move(
      { destination: 'pool:pool/flat.raw', scope: 'flatten', format: 'raw' },
      fileAt(path, 'raw'),
    );
    expect(await allocated(path)).toBeLessThan(vm.chain.size / 2n);
    expect(await allocatedBytes(vm.mover.context, move)).toBe(await allocated(path));
  });

  test('without a name it keeps that of the file', async () => {
    const path = join(images, 'kept-name.qcow2');
    await vm.move({ destination: path, format: 'qcow2' }, fileAt(path));
    const { move } = await vm.move({ destination: 'pool:pool' }, fileAt(join(volumes, 'kept-name.qcow2')));
    // Without tools on the host, libvirt tells.
    await using blind = new Mover(vm.host, { tools: 'none' });
    const told = await allocatedBytes(blind.context, move);
    expect(told).toBe(await allocated(join(volumes, 'kept-name.qcow2')));
  });

  test('abort removes it, and the same command then works', async () => {
    const ask = { domain: vm.name, disk: 'vda', destination: 'pool:pool/undone.qcow2' };
    expect((await vm.mover.move({ ...ask, hold: true })).ending).toEqual({ kind: 'ready' });
    expect(await volumeNames()).toContain('undone.qcow2');
    expect((await vm.mover.change(vm.name, { goal: 'abort' })).ending).toMatchObject({ kind: 'back' });
    expect(await volumeNames()).not.toContain('undone.qcow2');
    await vm.move(ask, fileAt(join(volumes, 'undone.qcow2')));
  });

  test('a volume that somebody else makes in the meantime is not touched, and abort leaves it', async () => {
    const name = 'contended.qcow2';
    const ask = { domain: vm.name, disk: 'vda', destination: `pool:pool/${name}` };
    const { move } = await vm.mover.plan(ask);
    await vm.host.virsh('vol-create-as', 'pool', name, '1M', '--format', 'raw');
    const { ino, mtimeMs } = await stat(join(volumes, name));
    expect((await vm.mover.run(move)).ending).toEqual({ kind: 'interrupted', why: 'destination-taken' });
    expect((await vm.mover.change(vm.name, { goal: 'abort' })).ending.kind).toBe('back');
    expect(await stat(join(volumes, name))).toMatchObject({ ino, mtimeMs });
  });

  test('a volume whose file was deleted behind libvirt’s back is not pivoted onto', async () => {
    const ask = { domain: vm.name, disk: 'vda', destination: 'pool:pool/deleted.qcow2' };
    expect((await vm.mover.move({ ...ask, hold: true })).ending).toEqual({ kind: 'ready' });
    await rm(join(volumes, 'deleted.qcow2'));
    const { ending } = await vm.mover.change(vm.name, { goal: 'pivot' });
    expect(ending).toEqual({ kind: 'back', why: expect.stringContaining('deleted') });
    await vm.host.virsh('pool-refresh', 'pool');
  });

  test('a volume that is there is refused, a file libvirt has not seen, and a pool that does not run', async () => {
    const ask = { domain: vm.name, disk: 'vda' };
    const refusal = (destination: string) => vm.mover.refusal({ ...ask, destination });
    expect(await refusal('pool:pool/flat.raw')).toMatchObject({ code: 'destination-exists' });
    await writeFile(join(volumes, 'unseen.qcow2'), 'precious');
    expect(await refusal('pool:pool/unseen.qcow2')).toMatchObject({ code: 'destination-exists' });
    expect(await refusal('pool:pool/a/b')).toMatchObject({ code: 'bad-destination' });
    expect(await refusal('pool:none/x')).toMatchObject({ code: 'no-such-pool' });
    await vm.host.virsh('pool-define-as', 'asleep', 'dir', '--target', join(images, 'asleep'));
    expect(await refusal('pool:asleep/x')).toMatchObject({ code: 'pool-inactive' });
  });
});

describe('an image made beforehand', () => {
  const make = async (path: string, ...backing: readonly string[]) => {
    const below = backing[0] === undefined ? [] : ['-b', backing[0], '-F', backing[1] ?? 'qcow2'];
    await run(['qemu-img', 'create', '-q', '-f', 'qcow2', ...below, path, String(vm.chain.size)]);
    return path;
  };

  test('a volume, reused', async () => {
    const path = join(volumes, 'reused.qcow2');
    await vm.host.virsh('vol-create-as', 'pool', 'reused.qcow2', String(vm.chain.size), '--format', 'qcow2');
    const { move } = await vm.move(
      { destination: 'pool:pool/reused.qcow2', reuseExternal: true },
      fileAt(path),
    );
    expect(move.ownership).toEqual({ kind: 'reused' });
  });

  test('onto an overlay of the same base, named relatively and by a symbolic link', async () => {
    const base = join(images, 'shared.qcow2');
    await make(base);
    const top = join(images, 'over-shared.qcow2');
    await vm.move({ destination: await make(top), reuseExternal: true }, fileAt(top));
    const source = join(images, 'chained.qcow2');
    await overlay(source);
    await run(['ln', '-s', images, join(images, 'link')]);
    const ready = join(images, 'ready.qcow2');
    await run([
      'qemu-img',
      'create',
      '-q',
      '-f',
      'qcow2',
      '-b',
      'link/over-shared.qcow2',
      '-F',
      'qcow2',
      ready,
    ]);
    await vm.move({ destination: ready, reuseExternal: true }, fileAt(ready));
  });

  test('described by XML', async () => {
    const path = join(images, 'by-xml.qcow2');
    const destinationXml = `<disk type='file'><driver name='qemu' type='qcow2'/><source file='${path}'/></disk>`;
    await vm.move({ destinationXml, scope: 'flatten' }, fileAt(path));
  });

  test('the next boot is from where the disk ended', async () => {
    await vm.guest.stop();
    await vm.guest.start();
    await vm.proveWritesKept({ path: join(images, 'by-xml.qcow2'), format: 'qcow2' });
  });
});

/** The guest goes on on a new, empty image upon the one it is on. */
async function overlay(path: string): Promise<void> {
  const how = ['--disk-only', '--no-metadata', '--diskspec', `vda,file=${path}`];
  await vm.host.virsh('snapshot-create-as', vm.name, ...how);
}

async function chainOf(path: string): Promise<string> {
  return (await run(['qemu-img', 'info', '-U', '--backing-chain', '--output=json', path])).stdout;
}
