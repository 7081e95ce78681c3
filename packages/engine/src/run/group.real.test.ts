// Two of three disks moved as one: the third has no part in it.
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainXml } from '@blockferry/libvirt';
import { type LibvirtHost, Mover, run, startIdle, startLibvirtHost } from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';

const DISKS = ['vda', 'vdb', 'vdc'] as const;

let host: LibvirtHost;
let mover: Mover;
const at = (name: string) => join(host.imagesDir, name);

beforeAll(async () => {
  host = await startLibvirtHost();
  mover = new Mover(host);
  await mkdir(at('to'));
  await mkdir(at('also'));
  for (const disk of DISKS) {
    await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at(disk), '16M']);
    await run(['qemu-io', '-f', 'qcow2', '-c', 'write -P 7 1M 4M', at(disk)]);
  }
  const disks = DISKS.map((target) => ({ target, path: at(target), format: 'qcow2' }) as const);
  await startIdle(host, { name: 'vm', disks });
});

afterAll(async () => {
  await mover.close();
  await host.stop();
});

async function places(...options: readonly string[]): Promise<readonly unknown[]> {
  const xml = DomainXml.parse(await host.virsh('dumpxml', 'vm', ...options));
  return DISKS.map((disk) => {
    const source = xml.disk(disk)?.source;
    return source?.kind === 'file' && source.path;
  });
}

test('a disk that is not named is not frozen, not moved, and has no image more than before', async () => {
  const ended = await mover.moveGroup({
    domain: 'vm',
    disks: [
      { disk: 'vdc', destination: at('to/') },
      { disk: 'vda', destination: at('also/') },
    ],
    pause: true,
  });
  expect(ended.disks.map(({ move, ending }) => [move.disk, ending.kind])).toEqual([
    ['vdc', 'moved'],
    ['vda', 'moved'],
  ]);
  // The machine was started paused: that is not ours to end.
  expect(ended.pausedMs).toBeUndefined();
  const moved = [at('also/vda'), at('vdb'), at('to/vdc')];
  expect(await places()).toEqual(moved);
  expect(await places('--inactive')).toEqual(moved);
  expect((await host.virsh('domstate', 'vm')).trim()).toBe('paused');
  const files = await readdir(host.imagesDir, { recursive: true });
  expect(files.toSorted((one, other) => one.localeCompare(other))).toEqual([
    'also',
    'also/vda',
    'to',
    'to/vdc',
    'vda',
    'vdb',
    'vdc',
  ]);
});
