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
  await run(['truncate', '-s', String(SIZE + (16n << 20n)), at('formatted')]);
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

describe.each<[string, () => string]>([
  ['a block device', () => device],
  ['an NBD export', () => server.uri],
])('%s', (_, destinationOf) => {
  test('takes one image: in layers where there is much to copy or the domain is off, else by a mirror', async () => {
    const to = { destination: destinationOf(), scope: 'flatten' } as const;
    expect(await planned(to)).toMatchObject({ strategy: 'layered', scope: 'flatten' });
    expect(await planned({ ...to, domain: 'off' })).toMatchObject({ strategy: 'layered' });
    expect(await planned({ ...to, strategy: 'mirror' })).toMatchObject({ why: 'asked for' });
  });

  test('a chain is asked about, by either strategy, and what is advised works', async () => {
    const to = { destination: destinationOf(), scope: 'chain' } as const;
    for (const strategy of ['auto', 'layered', 'mirror'] as const) {
      const refusal = await refused({ ...to, strategy });
      expect(refusal).toMatchObject({ code: 'choose-scope', hint: expect.stringContaining('--flatten') });
      expect(await planned({ ...to, strategy, scope: 'flatten' })).toMatchObject({ scope: 'flatten' });
    }
  });
});

test('a qcow2 image on a device is none for layers: auto takes a mirror and says why', async () => {
  const formatted = (await loopDevice(host, at('formatted'))).device;
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', formatted, String(SIZE)]);
  const to = { destination: formatted, format: 'qcow2', scope: 'flatten' } as const;
  expect(await planned(to)).toMatchObject({ strategy: 'mirror', why: expect.stringContaining('qcow2') });
  expect(await refused({ ...to, strategy: 'layered' })).toMatchObject({
    code: 'not-raw',
    hint: 'use --strategy mirror, or --format raw',
  });
  expect(await refused({ ...to, domain: 'off' })).toMatchObject({
    code: 'domain-off',
    message: expect.stringContaining('no qcow2'),
    hint: expect.stringContaining('virsh start off'),
  });
});

test('a pool whose volumes are files takes a chain in its layers', async () => {
  const to = { destination: 'pool:pool/x', scope: 'chain' } as const;
  expect(await planned(to)).toMatchObject({ strategy: 'layered', scope: 'chain' });
  expect(await planned({ ...to, domain: 'off' })).toMatchObject({ strategy: 'layered' });
  expect(await planned({ ...to, scope: 'flatten', strategy: 'mirror' })).toMatchObject({ why: 'asked for' });
});

test('a new file: layers for a chain, for much data, and for a domain that is off; else a mirror', async () => {
  const to = { destination: at('pool/new') };
  expect(await planned({ ...to, scope: 'chain' })).toMatchObject({ strategy: 'layered' });
  expect(await planned({ ...to, scope: 'flatten' })).toMatchObject({ strategy: 'layered' });
  expect(await planned({ ...to, scope: 'chain', domain: 'off' })).toMatchObject({ strategy: 'layered' });
  expect(await planned({ ...to, scope: 'shallow' })).toMatchObject({ strategy: 'mirror' });
});
