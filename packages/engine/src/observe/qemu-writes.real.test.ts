// A domain that is started between two questions of one look is not one that libvirt has lost.
import { join } from 'node:path';
import { localHost } from '@blockferry/qemu';
import { type LibvirtHost, removeIdle, run, startIdle, startLibvirtHost } from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { StartedMeanwhile } from '../model/errors.ts';
import { OpenMoves } from '../record/open-moves.ts';
import { Link } from '../run/link.ts';
import { readDefinitions } from './definitions.ts';
import { whereQemuWrites } from './qemu-writes.ts';

let host: LibvirtHost;
beforeAll(async () => {
  host = await startLibvirtHost();
});
afterAll(async () => {
  await removeIdle(host, 'vm');
  await host.stop();
});

test('off by one answer, and with its images open by the next: another look is asked for', async () => {
  const path = join(host.imagesDir, 'disk.qcow2');
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', path, '64M']);
  await startIdle(host, { name: 'vm', disks: [{ target: 'vda', path, format: 'qcow2' }], as: 'off' });
  const uuid = (await host.virsh('domuuid', 'vm')).trim();
  const link = new Link(host.uri);
  const tools = localHost();
  const context = { link, host: tools, openMoves: new OpenMoves(tools, join(host.directory, 'state')) };
  const image = (file: string) => ({ source: { kind: 'file', path: file }, format: 'qcow2' }) as const;
  const origin = image(path);
  const ends = { domain: { name: 'vm', uuid }, disk: 'vda', origin, destination: image(`${path}.copy`) };
  const off = await readDefinitions(await link.connection(), uuid);
  expect(await whereQemuWrites(context, ends, off)).toBe('nobody');
  await host.virsh('start', '--paused', 'vm');
  await expect(whereQemuWrites(context, ends, off)).rejects.toBeInstanceOf(StartedMeanwhile);
  await link.close();
  await tools.close();
});
