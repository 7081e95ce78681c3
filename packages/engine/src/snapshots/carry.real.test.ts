// Snapshots made with virsh before a move work after it: listed, gone back to, deleted, with the contents they had.
import { createHash } from 'node:crypto';
import { readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type Connection, connect, type Domain, DomainXml } from '@blockferry/libvirt';
import { type Host, localHost } from '@blockferry/qemu';
import { type LibvirtHost, removeIdle, run, startIdle, startLibvirtHost } from '@blockferry/testbed';
import { afterAll, afterEach, beforeAll, describe, expect, it, test } from 'vitest';
import { copyLayers, makeOverlay, mirror, moveByHand } from '../../test/layered-by-hand.ts';
import { carrySnapshots, foreseeSnapshots, type SnapshotScene } from './carry.ts';
import { type ImageMove, imageMovesOf } from './image-move.ts';

let host: LibvirtHost;
let tools: Host;
let connection: Connection;
const at = (name: string) => join(host.imagesDir, name);

beforeAll(async () => {
  host = await startLibvirtHost();
  tools = localHost();
  connection = await connect(host.uri);
});
afterEach(async () => {
  await removeIdle(host, 'vm');
  await run(['sh', '-c', 'rm -rf "$1"/*', 'sh', host.imagesDir]);
});
afterAll(async () => {
  await connection.close();
  await tools.close();
  await host.stop();
});

const virsh = (...args: readonly string[]) => host.virsh(...args);
const scene = (domain: SnapshotScene['domain']): SnapshotScene => ({ connection, host: tools, domain });

/** base <- top, and a domain on top of them. */
async function started(more: Partial<Parameters<typeof startIdle>[1]> = {}): Promise<Domain> {
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at('base'), '16M']);
  await makeOverlay(at('top'), at('base'));
  await startIdle(host, {
    name: 'vm',
    disks: [{ target: 'vda', path: at('top'), format: 'qcow2' }],
    ...more,
  });
  return connection.lookupDomainByName('vm');
}

async function guestWrites(pattern: number, offset = '1M'): Promise<void> {
  for (const command of [`write -P ${pattern} ${offset} 64k`, 'flush']) {
    const device = '/machine/peripheral/virtio-disk0/virtio-backend';
    const said = await virsh('qemu-monitor-command', '--hmp', 'vm', `qemu-io -d ${device} "${command}"`);
    if (said.trim() !== '') throw new Error(said);
  }
}

const reads = async (path: string, pattern: number, offset = '1M') =>
  run(['qemu-io', '-U', '-r', '-f', 'qcow2', '-c', `read -P ${pattern} ${offset} 64k`, path]);

const external = (name: string, file: string) =>
  virsh('snapshot-create-as', 'vm', name, '--disk-only', '--diskspec', `vda,file=${at(file)}`);

const inside = async (path: string): Promise<string[]> => {
  const { stdout } = await run(['qemu-img', 'info', '-U', '--output=json', path]);
  return (JSON.parse(stdout).snapshots ?? []).map(({ name }: { name: string }) => name);
};

/** All that libvirt keeps of the snapshots, passwords too, the tree and the current one. */
async function metadata(): Promise<string> {
  const names = (await virsh('snapshot-list', 'vm', '--name')).trim().split('\n');
  const dumps = names.map((name) => virsh('snapshot-dumpxml', 'vm', name, '--security-info'));
  const tree = [
    await virsh('snapshot-list', 'vm', '--tree'),
    await virsh('snapshot-current', 'vm', '--name'),
  ];
  return [...tree, ...(await Promise.all(dumps))].join('\n');
}

const hashes = async (...names: readonly string[]) =>
  Promise.all(
    names.map(async (name) =>
      createHash('sha256')
        .update(await readFile(at(name)))
        .digest('hex'),
    ),
  );

const activeImage = async () => {
  const disk = DomainXml.parse(await virsh('dumpxml', 'vm')).disk('vda');
  return disk?.source?.kind === 'file' ? disk.source.path : undefined;
};

const kinds = (carried: readonly { readonly name: string; readonly kind: string }[]) =>
  Object.fromEntries(carried.map(({ name, kind }) => [name, kind]));

describe('the whole chain, by its bytes', () => {
  it('leaves a snapshot inside an image and one beside it as they were, in their new places', async () => {
    const domain = await started();
    await guestWrites(1);
    await virsh('snapshot-create-as', 'vm', 'inside');
    await guestWrites(2);
    await external('beside', 'over');
    await guestWrites(3);
    const before = await metadata();
    const chain = ['over', 'top', 'base'].map(at);
    const moves = await moveByHand({ domain, disk: 'vda', directory: at('new'), chain }, () =>
      guestWrites(4, '2M'),
    );
    expect(kinds(await foreseeSnapshots(scene(domain), moves))).toEqual({
      inside: 'rewritten',
      beside: 'rewritten',
    });
    expect(await metadata()).toBe(before);
    await carrySnapshots(scene(domain), moves);
    // Every place is new, and nothing else has changed.
    const after = await metadata();
    expect(after).not.toContain(`${host.imagesDir}/top`);
    expect(after.replaceAll(`${host.imagesDir}/new/`, `${host.imagesDir}/`)).toBe(before);

    const sources = await hashes('over', 'top', 'base');
    await virsh('snapshot-revert', 'vm', 'inside');
    expect(await activeImage()).toBe(at('new/top'));
    await virsh('destroy', 'vm');
    await reads(at('new/top'), 1);
    await virsh('snapshot-revert', 'vm', 'inside');
    expect(await activeImage()).toBe(at('new/top'));
    await virsh('snapshot-delete', 'vm', 'inside');
    expect(await inside(at('new/top'))).toEqual([]);
    expect(await inside(at('top'))).toEqual(['inside']);
    await virsh('snapshot-delete', 'vm', 'beside', '--metadata');
    expect((await virsh('snapshot-list', 'vm', '--name')).trim()).toBe('');
    expect(await hashes('over', 'top', 'base')).toEqual(sources);
  });

  it('of a domain that is off leaves its snapshots as they were', async () => {
    const domain = await started({ as: 'off' });
    await run(['qemu-io', '-f', 'qcow2', '-c', 'write -P 1 1M 64k', at('top')]);
    await virsh('snapshot-create-as', 'vm', 'inside');
    await run(['qemu-io', '-f', 'qcow2', '-c', 'write -P 2 1M 64k', at('top')]);
    const chain = ['top', 'base'].map(at);
    const copies = await copyLayers({ chain, directory: at('new') });
    const definition = DomainXml.parse(await virsh('dumpxml', 'vm', '--security-info'));
    definition.setDiskSource('vda', { kind: 'file', path: at('new/top') }, 'qcow2');
    await connection.defineDomainXml(definition.toString());
    await carrySnapshots(scene(domain), bytes(chain, copies));
    await virsh('snapshot-revert', 'vm', 'inside');
    expect(await activeImage()).toBe(at('new/top'));
    await reads(at('new/top'), 1);
    await reads(at('top'), 2);
    await virsh('snapshot-delete', 'vm', 'inside');
    expect(await inside(at('new/top'))).toEqual([]);
  });
});

const image = (path: string) => ({ source: { kind: 'file', path } as const, format: 'qcow2' });
const bytes = (from: readonly string[], to: readonly string[]) =>
  from.map(
    (path, index): ImageMove => ({
      disk: 'vda',
      from: image(path),
      how: 'bytes',
      to: image(to[index] ?? ''),
    }),
  );

/** As by a mirror: the whole chain into one image if `below` is given. */
const mirrored = (from: string, to: string, ...below: readonly string[]) =>
  imageMovesOf({
    disk: 'vda',
    origin: image(at(from)),
    destination: image(at(to)),
    sources: [from, ...below].map((name) => image(at(name))),
  });

describe('a mirror of the active image', () => {
  it('takes the snapshot that made the image along', async () => {
    const domain = await started();
    await external('monday', 'over');
    const before = await metadata();
    await mirror({ domain, disk: 'vda' }, await makeOverlay(at('copy'), at('top')));
    await carrySnapshots(scene(domain), mirrored('over', 'copy'));
    expect((await metadata()).replaceAll(at('copy'), at('over'))).toBe(before);
    expect(await metadata()).toContain(at('copy'));
  });

  it('leaves what it cannot take along, says why, and changes nothing of it', async () => {
    const domain = await started();
    await virsh('snapshot-create-as', 'vm', 'inside');
    await external('monday', 'over');
    const before = await metadata();
    expect(await carrySnapshots(scene(domain), mirrored('over', 'flat', 'top', 'base'))).toEqual([
      { kind: 'left', name: 'inside', losses: [{ disk: 'vda', image: at('top'), why: 'dissolved' }] },
      { kind: 'left', name: 'monday', losses: [{ disk: 'vda', image: at('top'), why: 'dissolved' }] },
    ]);
    expect(await carrySnapshots(scene(domain), mirrored('top', 'copy'))).toEqual([
      { kind: 'left', name: 'inside', losses: [{ disk: 'vda', image: at('top'), why: 'internal' }] },
      { kind: 'left', name: 'monday', losses: [{ disk: 'vda', image: at('over'), why: 'branch' }] },
    ]);
    expect(await metadata()).toBe(before);
  });
});

test('passwords, metadata of others, the tree and a current snapshot in its midst are kept', async () => {
  const domain = await started({
    extraXml: `<metadata><a:b xmlns:a="urn:a" c="&quot;&lt;">&#x41;</a:b></metadata>`,
    extraDevices: "<graphics type='vnc' passwd='secret'><listen type='socket'/></graphics>",
  });
  for (const name of ['one', 'two', 'three']) await virsh('snapshot-create-as', 'vm', name);
  await virsh('snapshot-revert', 'vm', 'one');
  await virsh('snapshot-create-as', 'vm', 'other branch');
  await virsh('snapshot-revert', 'vm', 'two');
  const before = await metadata();
  expect(before).toContain("passwd='secret'");
  const copies = await copyLayers({ chain: [at('top')], directory: at('new') });
  await carrySnapshots(scene(domain), bytes([at('top')], copies));
  expect((await metadata()).replaceAll(at('new/top'), at('top'))).toBe(before);
  expect((await virsh('snapshot-current', 'vm', '--name')).trim()).toBe('two');
});

describe('a crash', () => {
  it.each([0, 1, 2, 3])('around call %i leaves a set that is finished by starting over', async (nth) => {
    const domain = await started();
    for (const name of ['one', 'two']) await virsh('snapshot-create-as', 'vm', name);
    const before = await metadata();
    const copies = await copyLayers({ chain: [at('top')], directory: at('new') });
    const moves = bytes([at('top')], copies);
    // Even: before libvirt has the call; odd: before we have its reply.
    await expect(carrySnapshots(scene(crashing(domain, nth)), moves)).rejects.toThrow('crash');
    await host.restartLibvirtd();
    connection = await connect(host.uri);
    const again = await connection.lookupDomainByName('vm');
    const done = Math.ceil(nth / 2);
    expect(kinds(await carrySnapshots(scene(again), moves))).toEqual({
      one: done > 0 ? 'untouched' : 'rewritten',
      two: done > 1 ? 'untouched' : 'rewritten',
    });
    expect((await metadata()).replaceAll(at('new/top'), at('top'))).toBe(before);
    await host.restartLibvirtd();
    connection = await connect(host.uri);
    expect(await metadata()).toContain(at('new/top'));
  });
});

function crashing(domain: Domain, nth: number): SnapshotScene['domain'] {
  let moments = 0;
  const moment = () => {
    if (moments++ === nth) throw new Error('crash');
  };
  return {
    listAllSnapshots: () => domain.listAllSnapshots(),
    currentSnapshot: () => domain.currentSnapshot(),
    lookupSnapshotByName: (name) => domain.lookupSnapshotByName(name),
    snapshotCreateXml: async (xml, flags) => {
      moment();
      const made = await domain.snapshotCreateXml(xml, flags);
      moment();
      return made;
    },
  };
}

test('a snapshot that somebody deletes meanwhile does not come back', async () => {
  const domain = await started();
  await virsh('snapshot-create-as', 'vm', 'one');
  const copies = await copyLayers({ chain: [at('top')], directory: at('new') });
  const deleting: SnapshotScene['domain'] = {
    ...crashing(domain, -1),
    lookupSnapshotByName: async (name) => {
      await virsh('snapshot-delete', 'vm', name, '--metadata');
      return domain.lookupSnapshotByName(name);
    },
  };
  expect(kinds(await carrySnapshots(scene(deleting), bytes([at('top')], copies)))).toEqual({
    one: 'untouched',
  });
  expect((await virsh('snapshot-list', 'vm', '--name')).trim()).toBe('');
});

describe('another name of an image', () => {
  test('a link', async () => {
    await symlink(host.imagesDir, at('link'));
    const domain = await started({ disks: [{ target: 'vda', path: at('link/top'), format: 'qcow2' }] });
    await virsh('snapshot-create-as', 'vm', 'one');
    const copies = await copyLayers({ chain: [at('top')], directory: at('new') });
    expect(kinds(await carrySnapshots(scene(domain), bytes([at('top')], copies)))).toEqual({
      one: 'rewritten',
    });
    expect(await metadata()).toContain(at('new/top'));
  });

  test('a volume of a pool', async () => {
    await virsh('pool-create-as', 'pool', 'dir', '--target', host.imagesDir);
    const xml = "<source pool='pool' volume='top'/>";
    await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at('top'), '16M']);
    await virsh('pool-refresh', 'pool');
    const domain = await started({ disks: [{ target: 'vda', type: 'volume', xml, format: 'qcow2' }] });
    await virsh('snapshot-create-as', 'vm', 'one');
    const copies = await copyLayers({ chain: [at('top')], directory: at('new') });
    expect(kinds(await carrySnapshots(scene(domain), bytes([at('top')], copies)))).toEqual({
      one: 'rewritten',
    });
    const dump = await virsh('snapshot-dumpxml', 'vm', 'one');
    expect(dump).toContain(`<source file='${at('new/top')}'/>`);
    expect(dump).not.toContain('pool');
    await virsh('pool-destroy', 'pool');
  });
});
