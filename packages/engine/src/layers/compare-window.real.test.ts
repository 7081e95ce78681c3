// qemu-img as the verifier, as it is used where QEMU has no quorum driver.
import { statSync } from 'node:fs';
import { Passphrase } from '@blockferry/qemu';
import { faultyNbdServer } from '@blockferry/testbed';
import { expect, test } from 'vitest';
import { compareWindow } from './compare-window.ts';
import type { LayerPlan } from './layer-plan.ts';
import { Bench, MiB } from './testing/bench.ts';
import { windowAt } from './windows.ts';

const window = windowAt({ total: 4n * MiB, windowBytes: MiB }, 2);
const signal = AbortSignal.timeout(60_000);

test.each([true, false])('names the first difference of a window (direct I/O: %s)', async (direct) => {
  await using bench = new Bench();
  const plan = bench.plan(bench.make('layer', 'raw', '4M', 'write -P 1 0 4M'), 'copy');
  bench.run('cp', 'layer', 'copy');
  const compare = () => compareWindow(bench.host, plan, window, { direct, aio: 'threads' }, signal);
  bench.write('copy', 'raw', 'write -P 2 1M 512', 'write -P 2 3M 512');
  expect(await compare()).toEqual({ kind: 'same' });
  bench.write('copy', 'raw', 'write -P 2 2560k 4k');
  expect(await compare()).toEqual({ kind: 'differs', offset: 2560n * 1024n });
});

test('opens what is in LUKS, as the daemon that made the copy did', async () => {
  await using bench = new Bench();
  const from = bench.make('layer', 'raw', '4M', 'write -P 1 0 4M');
  const passphrase = new Passphrase('key', Buffer.from('open sesame'));
  const plan: LayerPlan = {
    ...bench.plan(from, 'copy'),
    to: { ...bench.image('copy', 'luks'), passphrase },
    how: 'contents',
    formatOptions: { 'iter-time': 10 },
  };
  await bench.copyAll([plan], { windowBytes: 4n * MiB });
  const compare = () => compareWindow(bench.host, plan, window, { direct: true, aio: 'threads' }, signal);
  expect(await compare()).toEqual({ kind: 'same' });
  const header = BigInt(statSync(bench.path('copy')).size) - 4n * MiB;
  bench.write('copy', 'raw', `write -P 2 ${header + 2560n * 1024n} 4k`);
  expect(await compare()).toEqual({ kind: 'differs', offset: 2560n * 1024n });
});

test('names the side that cannot be read', async () => {
  await using bench = new Bench();
  const plan = bench.plan(bench.make('layer', 'raw', '4M', 'write -P 1 0 4M'), 'copy');
  bench.run('cp', 'layer', 'copy');
  const at = (name: string) =>
    ({
      location: { kind: 'nbd', server: { socket: bench.path(`${name}.nbd`) }, export: '' },
      format: 'raw',
    }) as const;
  for (const [name, side, plans] of [
    ['layer', 'source', { ...plan, from: at('layer') }],
    ['copy', 'destination', { ...plan, to: at('copy') }],
  ] as const) {
    await using server = await faultyNbdServer({ path: bench.path(name), failing: ['pread'] });
    await server.fail();
    const comparing = compareWindow(bench.host, plans, window, { direct: true, aio: 'threads' }, signal);
    await expect(comparing).rejects.toMatchObject({
      name: 'LayerFailed',
      side,
      detail: 'Input/output error',
    });
  }
});
