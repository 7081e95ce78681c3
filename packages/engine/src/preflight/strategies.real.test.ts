// Which strategy goes where: what `auto` chooses for each kind of destination and says, and that the advice of every
// refusal is one that works.
import { join } from 'node:path';
import {
  type Ask,
  type LibvirtHost,
  loopDevice,
  Mover,
  type NbdServer,
  nbdServer,
  run,
  startIdle,
  startLibvirtHost,
} from '@blockferry/testbed';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/** More than a mirror is over with before layers would be frozen. */
const SIZE = 300n << 20n;
let host: LibvirtHost;
let mover: Mover;
let server: NbdServer;
let device: string;
const at = (name: string) => join(host.imagesDir, name);

beforeAll(async () => {
  host = await startLibvirtHost();
  mover = new Mover(host);
  const full = ['-f', 'qcow2', '-o', 'preallocation=falloc'];
  await run(['qemu-img', 'create', '-q', ...full, at('base'), String(SIZE)]);
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-b', at('base'), '-F', 'qcow2', at('top')]);
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at('off'), String(SIZE)]);
  await startIdle(host, { name: 'vm', disks: [{ target: 'vda', path: at('top'), format: 'qcow2' }] });
  await startIdle(host, {
    name: 'off',
    disks: [{ target: 'vda', path: at('off'), format: 'qcow2' }],
    as: 'off',
  });
  for (const name of ['disk', 'export']) await run(['truncate', '-s', String(SIZE), at(name)]);
  device = (await loopDevice(host, at('disk'))).device;
  server = await nbdServer({ path: at('export'), export: 'vol' });
  await run(['mkdir', at('pool')]);
  await host.virsh('pool-create-as', 'pool', 'dir', '--target', at('pool'));
});

afterAll(async () => {
  await server?.stop();
  await mover?.close();
  await host?.stop();
});

const planned = async (ask: Partial<Ask>) => {
  const { move, why } = await mover.plan({ domain: 'vm', disk: 'vda', strategy: 'auto', ...ask });
  return { strategy: move.strategy, scope: move.scope, why };
};
const refused = (ask: Partial<Ask>) => mover.refusal({ domain: 'vm', disk: 'vda', strategy: 'auto', ...ask });

describe.each<[string, () => string, RegExp | null]>([
  ['a block device', () => device, null],
  ['an NBD export', () => server.uri, null],
  ['a volume of a pool', () => 'pool:pool/x', /directory of the pool/],
])('%s', (_, destinationOf, more) => {
  test('takes one image, by a mirror, and auto says so', async () => {
    const to = { destination: destinationOf(), scope: 'flatten' } as const;
    expect(await planned(to)).toMatchObject({ strategy: 'mirror', why: 'the destination is no new file' });
  });

  test('strategy layered is refused, and what is advised instead works', async () => {
    const to = { destination: destinationOf(), strategy: 'layered' } as const;
    const chain = await refused({ ...to, scope: 'chain' });
    expect(chain).toMatchObject({
      code: 'not-a-file',
      hint: expect.stringContaining('--strategy mirror with --flatten'),
    });
    const flat = await refused({ ...to, scope: 'flatten' });
    expect(flat.hint).toMatch(/^use --strategy mirror(;|$)/);
    if (more !== null) expect(flat.hint).toMatch(more);
    expect(await planned({ ...to, strategy: 'mirror', scope: 'flatten' })).toMatchObject({
      why: 'asked for',
    });
  });

  test('a chain is asked about, and a domain that is off has to run', async () => {
    const to = { destination: destinationOf() };
    expect(await refused({ ...to, scope: 'chain' })).toMatchObject({
      code: 'choose-scope',
      hint: expect.stringContaining('--flatten'),
    });
    expect(await refused({ ...to, domain: 'off', scope: 'flatten', format: 'raw' })).toMatchObject({
      code: 'domain-off',
      message: expect.stringContaining('new files only'),
      hint: expect.stringContaining('virsh start off'),
    });
  });
});

test('the directory of the pool, by its path, takes a chain in its layers', async () => {
  const to = { destination: `${at('pool')}/`, scope: 'chain' } as const;
  expect(await planned({ ...to, strategy: 'layered' })).toMatchObject({
    strategy: 'layered',
    scope: 'chain',
  });
});

test('a new file: layers for a chain, for much data, and for a domain that is off; else a mirror', async () => {
  const to = { destination: at('pool/new') };
  expect(await planned({ ...to, scope: 'chain' })).toMatchObject({ strategy: 'layered' });
  expect(await planned({ ...to, scope: 'flatten' })).toMatchObject({ strategy: 'layered' });
  expect(await planned({ ...to, scope: 'chain', domain: 'off' })).toMatchObject({ strategy: 'layered' });
  expect(await planned({ ...to, scope: 'shallow' })).toMatchObject({ strategy: 'mirror' });
});
