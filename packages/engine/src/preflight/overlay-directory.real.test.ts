// Where the overlay of a layered move may stand, and how much room it and the copies need: refused with nothing touched.
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describeSource } from '@blockferry/libvirt';
import {
  type Ask,
  type LibvirtHost,
  Mover,
  run,
  type SmallFileSystem,
  smallFileSystem,
  startIdle,
  startLibvirtHost,
} from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { planOf } from '../plan/plan.ts';

const MiB = 1024n * 1024n;

let host: LibvirtHost;
let mover: Mover;
let small: SmallFileSystem;
const at = (name: string) => join(host.imagesDir, name);

beforeAll(async () => {
  host = await startLibvirtHost();
  mover = new Mover(host);
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at('base.qcow2'), '64M']);
  await run(['qemu-io', '-f', 'qcow2', '-c', 'write -P 1 0 24M', at('base.qcow2')]);
  const over = ['-b', at('base.qcow2'), '-F', 'qcow2'];
  for (const name of ['top.qcow2', 'off.qcow2']) {
    await run(['qemu-img', 'create', '-q', '-f', 'qcow2', ...over, at(name)]);
  }
  await startIdle(host, { name: 'vm', disks: [{ path: at('top.qcow2'), target: 'vda', format: 'qcow2' }] });
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', ...over, at('told.qcow2')]);
  const told = {
    path: at('told.qcow2'),
    target: 'vda',
    format: 'qcow2',
    driver: { error_policy: 'report' },
  } as const;
  await startIdle(host, { name: 'told', disks: [told] });
  const disks = [{ path: at('off.qcow2'), target: 'vda', format: 'qcow2' }] as const;
  await startIdle(host, { name: 'off', disks, as: 'off' });
  for (const name of ['to', 'o"v, %41', 'private']) await mkdir(at(name));
  await chmod(at('private'), 0o700);
  await writeFile(at('file'), '');
  small = await smallFileSystem(host, { bytes: 48n * MiB });
  await smallFileSystem(host, { bytes: 32n * MiB, type: 'tmpfs', name: 'memory' });
});

afterAll(async () => {
  await mover.close();
  await host.stop();
});

const layered = (ask: Partial<Ask> = {}): Ask => ({
  domain: 'vm',
  disk: 'vda',
  scope: 'chain',
  destination: `${at('to')}/`,
  ...ask,
});

test('a directory of any name, which the plan shows', async () => {
  const planned = planOf(await mover.plan(layered({ overlayDirectory: at('o"v, %41') })));
  const overlay = planned.move.layered?.overlay.source;
  expect(overlay && describeSource(overlay)).toMatch(
    new RegExp(`^${at('o"v, %41')}/top\\.qcow2\\.\\w+\\.overlay$`),
  );
  expect(planned.steps.some(({ what }) => what.includes(at('o"v, %41')))).toBe(true);
});

test.each([
  ['that is not there', 'nowhere', 'no-such-directory'],
  ['that is a file', 'file', 'no-such-directory'],
  ['that QEMU may not enter', 'private', 'destination-unreachable'],
  ['that libvirt cannot name', 'line\nbreak', 'bad-overlay-dir'],
  ['in memory, which would not outlive the host', 'memory', 'overlay-volatile'],
])('one %s is refused', async (_, name, code) => {
  expect(await mover.refusal(layered({ overlayDirectory: at(name) }))).toMatchObject({ code });
});

test('where none can be made beside the source: refused, and made elsewhere', async () => {
  await mkdir(at('sealed'));
  const [sealed, path] = [at('sealed'), at('sealed/one.qcow2')];
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', path, '64M']);
  await startIdle(host, { name: 'sealed', disks: [{ path, target: 'vda', format: 'qcow2' }] });
  await run(['chattr', '+i', sealed]);
  try {
    const ask = layered({ domain: 'sealed', strategy: 'layered' });
    expect(await mover.refusal(ask)).toMatchObject({
      code: 'overlay-unusable',
      message: expect.stringContaining(sealed),
    });
    expect((await mover.plan({ ...ask, overlayDirectory: at('to') })).move.strategy).toBe('layered');
  } finally {
    await run(['chattr', '-i', sealed]);
  }
});

test('a mirror has no overlay, and says so', async () => {
  const ask = layered({ overlayDirectory: at('to'), strategy: 'mirror', scope: 'flatten' });
  expect(await mover.refusal(ask)).toMatchObject({ code: 'overlay-dir-not-layered' });
});

test('room for the guest: refused without any, unless the domain is off; scarce room is said', async () => {
  await small.fillUp(2n * MiB);
  const asked = { overlayDirectory: small.directory };
  expect(await mover.plan(layered(asked))).toMatchObject({
    warnings: [{ code: 'overlay-may-fill', message: expect.stringContaining(small.directory) }],
  });
  expect(await mover.plan(layered({ ...asked, domain: 'told' }))).toMatchObject({
    warnings: [
      { code: 'overlay-may-fill' },
      { code: 'error-policy', message: expect.stringContaining('gets an error') },
    ],
  });
  await small.makeRoom();
  await small.fillUp(MiB);
  expect(await mover.refusal(layered(asked))).toMatchObject({ code: 'no-room-for-overlay' });
  expect(await mover.plan(layered({ ...asked, domain: 'off' }))).toMatchObject({ warnings: [] });
  await small.makeRoom();
});

test('room for the copies: what is kept free at the destination is not theirs', async () => {
  await small.fillUp(25n * MiB);
  const ask = layered({ destination: `${small.directory}/` });
  expect(await mover.refusal(ask)).toMatchObject({
    code: 'destination-too-small',
    message: expect.stringContaining('kept free'),
  });
  await small.makeRoom();
  await small.fillUp(28n * MiB);
  await mover.plan(ask);
});
