// The Ceph of the testbed is a real one: images, holes, watchers, and a hang on demand; two run side by side.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../process/run.ts';
import { type CephCluster, startCeph } from './cluster.ts';

let parent: string;
let one: CephCluster;
let other: CephCluster;

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'bf-ceph-'));
  [one, other] = await Promise.all([startCeph({ parent }), startCeph({ parent })]);
});

afterAll(async () => {
  await one?.stop();
  await other?.stop();
  await rm(parent, { recursive: true, force: true });
});

const qemuIo = (cluster: CephCluster, name: string, ...commands: readonly string[]) => {
  const node = JSON.stringify({ driver: 'raw', file: cluster.node(name) });
  return run(['qemu-io', ...commands.flatMap((one) => ['-c', one]), `json:${node}`], { timeoutMs: 5_000 });
};

test('QEMU writes to an image and reads it back, and only what was written is allocated', async () => {
  await one.createImage('disk', 64n << 20n);
  await qemuIo(one, 'disk', 'write -P 7 8M 64k', 'read -P 7 8M 64k');
  const allocated = await one.allocated('disk');
  expect(allocated).toBeGreaterThan(0n);
  expect(allocated).toBeLessThanOrEqual(4n << 20n);
});

test('two clusters do not share images', async () => {
  await other.createImage('other', 1n << 20n);
  expect(await one.images()).not.toContain('other');
  expect(await other.images()).toEqual(['other']);
});

test('paused it answers nobody, and then goes on', async () => {
  await one.createImage('paused', 1n << 20n);
  await one.pause();
  await expect(qemuIo(one, 'paused', 'read 0 512')).rejects.toThrow('no end after');
  await one.resume();
  await qemuIo(one, 'paused', 'read 0 512');
});

test('without its monitor nobody new is let in', async () => {
  await other.killMonitor();
  await expect(qemuIo(other, 'other', 'read 0 512')).rejects.toThrow('no end after');
  await other.startMonitor();
  await qemuIo(other, 'other', 'read 0 512');
});
