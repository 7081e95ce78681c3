// Checkpoints made before, during and after a layered move: each incremental backup since one of them holds what
// changed, no less (that would be a backup that cannot be restored) and no more.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Connection, connect, type Domain, DomainXml } from '@blockferry/libvirt';
import { continueBitmaps, gatherBitmaps, type Host, localHost, mergeBitmaps } from '@blockferry/qemu';
import { type LibvirtHost, removeIdle, run, startIdle, startLibvirtHost, until } from '@blockferry/testbed';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import {
  type ByHand,
  commitActive,
  copyLayers,
  freeze,
  makeOverlay,
  mirror,
  moveByHand,
  relink,
} from '../../test/layered-by-hand.ts';

let host: LibvirtHost;
let tools: Host;
let connection: Connection;
let domain: Domain;
let move: ByHand;
/** MiB: each write goes one further. */
let written = 0;
const at = (name: string) => join(host.imagesDir, name);
const virsh = (...args: readonly string[]) => host.virsh(...args);
const qcow2 = (name: string) => ({ location: { kind: 'file' as const, path: at(name) }, format: 'qcow2' });

beforeAll(async () => {
  host = await startLibvirtHost();
  tools = localHost();
  connection = await connect(host.uri);
});
afterAll(async () => {
  await connection.close();
  await tools.close();
  await host.stop();
});

// base <- top, one write before and one after the checkpoint "before".
beforeEach(async () => {
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at('base'), '64M']);
  await makeOverlay(at('top'), at('base'));
  await startIdle(host, { name: 'vm', disks: [{ target: 'vda', path: at('top'), format: 'qcow2' }] });
  domain = await connection.lookupDomainByName('vm');
  move = { domain, disk: 'vda', directory: at('new'), chain: ['top', 'base'].map(at) };
  written = 0;
  await guestWrites();
  await checkpoint('before');
  await guestWrites();
});
afterEach(async () => {
  await removeIdle(host, 'vm');
  await run(['sh', '-c', 'rm -rf "$1"/*', 'sh', host.imagesDir]);
});

/** One more block at the next MiB, flushed, through the machine's own block device. */
async function guestWrites(): Promise<void> {
  written++;
  for (const command of [`write -P 42 ${written}M 64k`, 'flush']) {
    const device = '/machine/peripheral/virtio-disk0/virtio-backend';
    const said = await virsh('qemu-monitor-command', '--hmp', 'vm', `qemu-io -d ${device} "${command}"`);
    if (said.trim() !== '') throw new Error(said);
  }
}

const checkpoint = (name: string) => virsh('checkpoint-create-as', 'vm', name);

/** The MiB at which a plain `virsh backup-begin` since the checkpoint finds changes. */
async function backupSince(name: string): Promise<readonly number[]> {
  const [file, target] = [at('backup.xml'), at('backup')];
  const disk = `<disk name='vda' type='file'><driver type='qcow2'/><target file='${target}'/></disk>`;
  await writeFile(
    file,
    `<domainbackup><incremental>${name}</incremental><disks>${disk}</disks></domainbackup>`,
  );
  await virsh('backup-begin', 'vm', file);
  await until('the end of the backup', async () =>
    (await virsh('domjobinfo', 'vm')).includes('None') ? true : undefined,
  );
  const json = { driver: 'qcow2', backing: null, file: { driver: 'file', filename: target } };
  const { stdout } = await run(['qemu-img', 'map', '--output=json', `json:${JSON.stringify(json)}`]);
  await run(['rm', target]);
  const extents: { start: number; present: boolean }[] = JSON.parse(stdout);
  return extents.filter(({ present }) => present).map(({ start }) => start / 2 ** 20);
}

/** From the write after `first` to the last one. */
const writesAfter = (first: number) =>
  Array.from({ length: written - first }, (_, index) => first + 1 + index);

const refused = expect.objectContaining({ message: expect.stringContaining('missing or broken bitmap') });

async function defineOn(name: string): Promise<void> {
  const definition = DomainXml.parse(await virsh('dumpxml', 'vm', '--inactive', '--security-info'));
  definition.setDiskSource('vda', { kind: 'file', path: at(name) }, 'qcow2');
  await connection.defineDomainXml(definition.toString());
}

const boot = () => virsh('start', '--paused', 'vm');

async function killQemu(): Promise<void> {
  await host.killQemu('vm');
  await until('the end of the domain', async () =>
    (await virsh('domstate', 'vm')).includes('shut off') ? true : undefined,
  );
}

/** As a copier does that was told to go on with no QEMU running. */
async function walk(overlay: string, into: string) {
  await run(['qemu-img', 'commit', '-q', '-d', '-f', 'qcow2', at(overlay)]);
  return mergeBitmaps(tools, qcow2(overlay), qcow2(into));
}

describe('a move of the whole chain', () => {
  it('keeps checkpoints of any time, over the next boot too', async () => {
    await virsh('snapshot-create-as', 'vm', 'outside', '--disk-only', '--diskspec', `vda,file=${at('over')}`);
    await guestWrites();
    const made = new Map([['before', 1]]);
    await moveByHand({ ...move, chain: ['over', 'top', 'base'].map(at) }, async (moment) => {
      await guestWrites();
      await checkpoint(moment);
      made.set(moment, written);
      await guestWrites();
    });
    const list = (await virsh('checkpoint-list', 'vm', '--name', '--topological')).trim().split('\n');
    expect(list).toEqual([...made.keys()]);
    for (const [name, after] of made)
      expect([name, await backupSince(name)]).toEqual([name, writesAfter(after)]);
    await virsh('destroy', '--graceful', 'vm');
    await boot();
    await guestWrites();
    for (const [name, after] of made)
      expect([name, await backupSince(name)]).toEqual([name, writesAfter(after)]);
    for (const name of made.keys()) await virsh('checkpoint-delete', 'vm', name);
  });

  it('keeps them in two rounds', async () => {
    const first = await freeze(move);
    await guestWrites();
    await checkpoint('between');
    const after = written;
    await guestWrites();
    const both = { ...move, chain: [first, ...move.chain] };
    await freeze(both);
    await guestWrites();
    const copies = await copyLayers(both);
    await mirror(move, await makeOverlay(at('carrier'), copies[0] ?? ''));
    await guestWrites();
    await commitActive(move, at('new/top'));
    await guestWrites();
    expect(await backupSince('before')).toEqual(writesAfter(1));
    expect(await backupSince('between')).toEqual(writesAfter(after));
  });

  it('keeps them when it goes back', async () => {
    await freeze(move);
    await guestWrites();
    await checkpoint('between');
    const after = written;
    await guestWrites();
    await commitActive(move, at('top'));
    await guestWrites();
    expect(await backupSince('before')).toEqual(writesAfter(1));
    expect(await backupSince('between')).toEqual(writesAfter(after));
  });
});

describe('a chain made into one image', () => {
  async function flattened(prepare: () => Promise<unknown>): Promise<void> {
    await freeze(move);
    await guestWrites();
    await run(['qemu-img', 'convert', '-q', '-f', 'qcow2', '-O', 'qcow2', at('top'), at('flat')]);
    await prepare();
    await mirror(move, await makeOverlay(at('carrier'), at('flat')));
    await guestWrites();
    await commitActive(move, at('flat'));
    await guestWrites();
  }

  it('keeps checkpoints if its bitmaps are gathered before the carrier is made', async () => {
    await flattened(() => gatherBitmaps(tools, [qcow2('top'), qcow2('base')], qcow2('flat')));
    expect(await backupSince('before')).toEqual(writesAfter(1));
  });

  it('would otherwise make backups that lack data, without a word', async () => {
    await flattened(async () => undefined);
    expect(await backupSince('before')).toEqual(writesAfter(2));
  });
});

describe('with the domain off', () => {
  it('shut down on the overlay, its checkpoints come along', async () => {
    const overlay = await freeze(move);
    await guestWrites();
    await checkpoint('between');
    const after = written;
    await guestWrites();
    await virsh('destroy', '--graceful', 'vm');
    await copyLayers(move);
    await run(['cp', overlay, at('carrier')]);
    await relink(at('carrier'), at('new/top'));
    expect((await walk('carrier', 'new/top')).lost).toEqual([]);
    await defineOn('new/top');
    await boot();
    await guestWrites();
    expect(await backupSince('before')).toEqual(writesAfter(1));
    expect(await backupSince('between')).toEqual(writesAfter(after));
  });

  it('frozen while off, a backup works before the move is done, and after', async () => {
    await virsh('destroy', '--graceful', 'vm');
    await makeOverlay(at('overlay'), at('top'));
    await continueBitmaps(tools, qcow2('top'), qcow2('overlay'));
    await defineOn('overlay');
    await boot();
    await guestWrites();
    expect(await backupSince('before')).toEqual(writesAfter(1));
    const copies = await copyLayers(move);
    await mirror(move, await makeOverlay(at('carrier'), copies[0] ?? ''));
    await commitActive(move, at('new/top'));
    await guestWrites();
    expect(await backupSince('before')).toEqual(writesAfter(1));
  });
});

describe('QEMU killed on the overlay', () => {
  beforeEach(async () => {
    await freeze(move);
    await guestWrites();
    await checkpoint('between');
    await guestWrites();
    await killQemu();
  });

  test('gone back with the domain off: the checkpoint from before is whole, the one from between is refused', async () => {
    await walk('top.overlay', 'top');
    await defineOn('top');
    await boot();
    await guestWrites();
    expect(await backupSince('before')).toEqual(writesAfter(1));
    await expect(backupSince('between')).rejects.toEqual(refused);
  });

  test('started and moved on: the same', async () => {
    await boot();
    await guestWrites();
    const copies = await copyLayers(move);
    await mirror(move, await makeOverlay(at('carrier'), copies[0] ?? ''));
    await guestWrites();
    await commitActive(move, at('new/top'));
    await guestWrites();
    expect(await backupSince('before')).toEqual(writesAfter(1));
    await expect(backupSince('between')).rejects.toEqual(refused);
  });
});
