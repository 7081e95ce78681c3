// A daemon that says it is old is asked for nothing that it does not know.
import { join } from 'node:path';
import {
  agree,
  type LibvirtHost,
  Mover,
  readTexts,
  run,
  startIdle,
  startLibvirtHost,
} from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';

let host: LibvirtHost;
const at = (name: string) => join(host.imagesDir, name);
const ask = (name: string) => ({ domain: 'vm', disk: 'vda', destination: at(name) });

beforeAll(async () => {
  host = await startLibvirtHost();
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at('a.qcow2'), '16M']);
  await startIdle(host, { name: 'vm', disks: [{ target: 'vda', path: at('a.qcow2'), format: 'qcow2' }] });
  await host.virsh('autostart', 'vm');
});

afterAll(() => host.stop());

/** A connection whose daemon gives itself out for this version. */
async function believing(libVersion: bigint): Promise<Mover> {
  const mover = new Mover(host);
  Object.assign(await mover.context.link.connection(), { libVersion: async () => libVersion });
  return mover;
}

test('before 8.0, synchronous writes are refused', async () => {
  await using mover = await believing(7_010_000n);
  for (const options of [{ synchronousWrites: true }, { converge: true }]) {
    expect(await mover.refusal({ ...ask('x'), options })).toMatchObject({ code: 'libvirt-too-old' });
  }
});

test('before 3.5, the definition is kept aside, and comes back with everything', async () => {
  await using mover = await believing(3_004_000n);
  const { ending, move, steps } = await mover.move(ask('b.qcow2'));
  expect(ending.kind).toBe('moved');
  expect(move.jobMode).toBe('undefine');
  expect(steps).toEqual(expect.arrayContaining(['undefine', 'restore-definition']));
  const texts = await readTexts(host, 'vm');
  expect(agree('vda', texts)).toBe(true);
  expect(texts).toMatchObject({ autostart: true, persistent: expect.stringContaining(at('b.qcow2')) });
});

test('from 3.5 on, the domain stays defined all the time', async () => {
  await using mover = await believing(3_005_000n);
  const { ending, move, steps } = await mover.move(ask('c.qcow2'));
  expect(ending.kind).toBe('moved');
  expect(move.jobMode).toBe('transient-job');
  expect(steps).not.toContain('undefine');
});
