// A backup client of another make (python3-libvirt, python3-libnbd, pull mode) begins before a move and goes on after it, and
// after a commit: what it restores is the disk as it was at that instant, byte for byte.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type LibvirtHost,
  type MovingGuest,
  pullBackup,
  run,
  startLibvirtHost,
  startMovingGuest,
} from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { preflightShorten } from '../preflight/shorten.ts';

let host: LibvirtHost;
let moving: MovingGuest;
const at = (name: string) => join(host.imagesDir, name);
const backup = (checkpoint: string, since?: string) =>
  pullBackup(host, {
    domain: 'vm',
    disk: 'vda',
    file: at('restored.raw'),
    checkpoint,
    ...(since !== undefined && { since }),
  });

beforeAll(async () => {
  host = await startLibvirtHost();
  moving = await startMovingGuest(host, { chain: { fill: 2n << 20n } });
});
afterAll(async () => {
  await moving?.[Symbol.asyncDispose]();
  await host?.stop();
});

/** The guest stands still: the backup and the disk are of one instant. */
async function incrementEquals(active: string, checkpoint: string, since: string): Promise<void> {
  await moving.guest.waitForWrites(100);
  await host.virsh('suspend', 'vm');
  const bytes = await backup(checkpoint, since);
  const sides = ['-f', 'raw', '-F', 'qcow2', at('restored.raw'), active];
  const { stdout } = await run(['qemu-img', 'compare', '-U', ...sides]);
  expect(stdout).toContain('identical');
  await host.virsh('resume', 'vm');
  expect(bytes).toBeGreaterThan(0);
  // No more than the guest can have written, in clusters: its region, not the disk.
  expect(bytes).toBeLessThanOrEqual(2 << 20);
}

test('full, our move of the whole chain in layers, incremental: restored, it is the disk', async () => {
  expect(await backup('monday')).toBeGreaterThan(4 << 20);
  await moving.guest.waitForWrites(100);
  await mkdir(at('new'));
  const ask = { domain: 'vm', disk: 'vda', strategy: 'layered', scope: 'chain' } as const;
  expect((await moving.mover.move({ ...ask, destination: `${at('new')}/` })).ending.kind).toBe('moved');
  await incrementEquals(at('new/snap2.qcow2'), 'tuesday', 'monday');
});

test('then our commit of the chain, and incremental again', async () => {
  const { context } = moving.mover;
  const how = { kind: 'commit', shallow: false } as const;
  const rest = { deleteSource: true, keepRelative: false, hold: false };
  const { move } = await preflightShorten(context, { domain: 'vm', disk: 'vda', how, ...rest });
  expect((await moving.mover.run(move)).ending.kind).toBe('moved');
  await incrementEquals(at('new/base.qcow2'), 'wednesday', 'tuesday');
});

test('then a shallow mirror of ours, and incremental again', async () => {
  const ask = { domain: 'vm', disk: 'vda', strategy: 'mirror', destination: at('copy.qcow2') } as const;
  expect((await moving.mover.move(ask)).ending.kind).toBe('moved');
  await incrementEquals(at('copy.qcow2'), 'thursday', 'wednesday');
});
