// Checkpoints live through a move from qcow2 to qcow2: the next incremental backup holds what changed, no more, no less.
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
import { afterAll, beforeAll, expect, test } from 'vitest';

let host: LibvirtHost;
let mover: Mover;
const at = (name: string) => join(host.imagesDir, name);

beforeAll(async () => {
  host = await startLibvirtHost();
  mover = new Mover(host);
});

afterAll(async () => {
  await mover.close();
  await host.stop();
});

async function create(name: string, ...more: readonly string[]): Promise<void> {
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', ...more, at(name), '16M']);
}

const guestWrites = (offsetMiB: number) => writeAsGuest(host, 'vm', offsetMiB);

test.each(['shallow', 'flatten'] as const)('%s', async (scope) => {
  await create(`${scope}-base.qcow2`);
  await create(`${scope}.qcow2`, '-b', at(`${scope}-base.qcow2`), '-F', 'qcow2');
  await startIdle(host, {
    name: 'vm',
    disks: [{ target: 'vda', path: at(`${scope}.qcow2`), format: 'qcow2' }],
  });
  await guestWrites(1);
  await host.virsh('checkpoint-create-as', 'vm', 'monday');
  await guestWrites(4);
  const ask = { domain: 'vm', disk: 'vda', scope };
  expect((await mover.move({ ...ask, destination: at(`${scope}-copy.qcow2`) })).ending.kind).toBe('moved');
  expect((await host.virsh('checkpoint-list', '--name', 'vm')).trim()).toBe('monday');
  await guestWrites(8);
  expect(await backupSince(host, 'vm', 'monday')).toEqual([4, 8]);
  // The raw image that would lose them is refused.
  const raw = { ...ask, scope: 'flatten', format: 'raw', destination: at('x') } as const;
  expect(await mover.refusal(raw)).toMatchObject({ code: 'checkpoints-lost' });
  await removeIdle(host, 'vm');
});

test('bitmaps of other programs: their loss in a raw image is spoken of', async () => {
  await create('marked.qcow2');
  await run(['qemu-img', 'bitmap', '--add', at('marked.qcow2'), 'theirs']);
  await startIdle(host, {
    name: 'vm',
    disks: [{ target: 'vda', path: at('marked.qcow2'), format: 'qcow2' }],
  });
  const ask = { domain: 'vm', disk: 'vda', destination: at('unmarked') };
  const codes = async (format: string) =>
    (await mover.plan({ ...ask, format })).warnings.map(({ code }) => code);
  expect(await codes('raw')).toEqual(['bitmaps-lost']);
  expect(await codes('qcow2')).toEqual([]);
  await removeIdle(host, 'vm');
});

test('at the next boot too', async () => {
  await create('boot.qcow2');
  await startIdle(host, { name: 'vm', disks: [{ target: 'vda', path: at('boot.qcow2'), format: 'qcow2' }] });
  await host.virsh('checkpoint-create-as', 'vm', 'monday');
  await guestWrites(2);
  expect(
    (await mover.move({ domain: 'vm', disk: 'vda', destination: at('boot-copy.qcow2') })).ending.kind,
  ).toBe('moved');
  await host.virsh('destroy', '--graceful', 'vm');
  await host.virsh('start', '--paused', 'vm');
  await guestWrites(6);
  expect(await backupSince(host, 'vm', 'monday')).toEqual([2, 6]);
  await removeIdle(host, 'vm');
});
