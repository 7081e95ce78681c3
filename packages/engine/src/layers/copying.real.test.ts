// The copy is the layer: byte for byte, hole for hole; or what the guest reads, in another format.

import { randomBytes } from 'node:crypto';
import { statSync, truncateSync, writeFileSync } from 'node:fs';
import { compare, info } from '@blockferry/qemu';
import { expect, test } from 'vitest';
import { copyState } from './copy-state.ts';
import type { LayerPlan } from './layer-plan.ts';
import { linksOf, relink } from './relink.ts';
import { Bench, MiB } from './testing/bench.ts';

test('a container keeps its internal snapshots, bitmaps and cluster size', async () => {
  await using bench = new Bench();
  const from = bench.make('a, b=c', 'qcow2', '16M', 'write -P 1 0 5M');
  bench.run('qemu-img', 'snapshot', '-c', 'before', 'a, b=c');
  bench.run('qemu-img', 'bitmap', '--add', 'a, b=c', 'checkpoint');
  bench.write('a, b=c', 'qcow2', 'write -P 2 1M 3M');
  const plan = bench.plan(from, 'copy');
  await bench.copyAll([plan]);
  expect(bench.same('a, b=c', 'copy')).toBe(true);
  expect(bench.run('qemu-img', 'snapshot', '-l', 'copy')).toContain('before');
  expect(await copyState(bench.host, plan)).toMatchObject({
    kind: 'complete',
    verified: true,
    moveId: 'move',
  });
});

test.each([1, 511, 513, 4095, 1_048_575, 1_048_577, 3_000_001])(
  '%i bytes keep their length',
  async (length) => {
    await using bench = new Bench();
    writeFileSync(bench.path('odd'), randomBytes(length));
    await bench.copyAll([bench.plan(bench.image('odd', 'raw'), 'copy')]);
    expect(bench.same('odd', 'copy')).toBe(true);
  },
);

test('an empty layer has an empty copy', async () => {
  await using bench = new Bench();
  writeFileSync(bench.path('empty'), '');
  const plan = bench.plan(bench.image('empty', 'raw'), 'copy');
  await bench.copyAll([plan]);
  expect(statSync(bench.path('copy')).size).toBe(0);
  expect(await copyState(bench.host, plan)).toMatchObject({ kind: 'complete' });
});

test('holes stay holes, and zeroes become holes', async () => {
  await using bench = new Bench();
  const from = bench.make(
    'sparse',
    'raw',
    '64M',
    'write -P 1 1M 64k',
    'write -P 0 20M 8M',
    'write -P 2 50M 1M',
  );
  await bench.copyAll([bench.plan(from, 'copy')], { windowBytes: 16n * MiB });
  expect(bench.same('sparse', 'copy')).toBe(true);
  const allocated = statSync(bench.path('copy')).blocks * 512;
  expect(allocated).toBeLessThanOrEqual(64 * 1024 + 1024 * 1024 + 64 * 1024);
});

test.each([
  ['raw', 0],
  ['qcow2', 4096],
  ['qcow2', 2 << 20],
])(
  'a chain is flattened into %s with clusters of %i bytes, showing the same',
  async (format, clusterSize) => {
    await using bench = new Bench();
    const base = bench.make('base', 'qcow2', '16M', 'write -P 1 0 3M', 'write -P 2 8M 64k');
    bench.run('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', 'base', '-F', 'qcow2', 'top');
    bench.write('top', 'qcow2', 'write -P 3 2M 2M', 'write -z 512k 512k', 'write -P 4 15M 1M');
    const top = bench.image('top', 'qcow2');
    const plan: LayerPlan = {
      ...bench.plan(top, 'flat'),
      to: bench.image('flat', format),
      how: 'contents',
      chain: [top, base],
      ...(clusterSize > 0 && { formatOptions: { cluster_size: clusterSize } }),
    };
    await bench.copyAll([plan]);
    const same = await compare(bench.host, [top, base], [plan.to], { timeoutMs: 30_000 });
    expect(same).toEqual({ same: true });
    // Its metadata takes whole clusters, too.
    expect(statSync(bench.path('flat')).blocks * 512).toBeLessThan(6 * 1024 * 1024 + 7 * clusterSize);
    if (format === 'qcow2') expect(bench.run('qemu-img', 'check', 'flat')).toContain('No errors');
  },
);

test.each([
  [512, true],
  [3 * 65536, true],
  [1_048_576 + 512, true],
  [2_097_152 + 70_144, false],
])('%i bytes are compressed, and have their length', async (length, verify) => {
  await using bench = new Bench();
  const from = bench.make('odd', 'raw', String(length), `write -P 7 ${length - 512} 512`);
  const to = bench.image('small', 'qcow2');
  const plan: LayerPlan = { ...bench.plan(from, 'small'), to, how: 'contents', compressed: true };
  await bench.copyAll([plan], { verify });
  expect(await compare(bench.host, [from], [to], { timeoutMs: 30_000 })).toEqual({ same: true });
  expect((await info(bench.host, to)).virtualSize).toBe(BigInt(length));
  expect(bench.run('qemu-img', 'check', 'small')).toContain('100.00% compressed');
});

test('several layers are copied in turn and linked to each other', async () => {
  await using bench = new Bench();
  const base = bench.make('base', 'qcow2', '8M', 'write -P 1 0 3M');
  bench.run('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', bench.path('base'), '-F', 'qcow2', 'top');
  bench.write('top', 'qcow2', 'write -P 2 2M 2M');
  const plans = [bench.plan(base, 'base copy'), bench.plan(bench.image('top', 'qcow2'), 'top copy')];
  await bench.copyAll(plans);
  await relink(bench.host, linksOf(plans));
  await relink(bench.host, linksOf(plans));
  const info = bench.run('qemu-img', 'info', '--backing-chain', 'top copy');
  expect(info).toContain(`backing file: ${bench.path('base copy')}`);
  for (const plan of plans) expect(await copyState(bench.host, plan)).toMatchObject({ kind: 'complete' });
  bench.run('rm', 'base');
  bench.write('top copy', 'qcow2', 'read -P 1 0 2M', 'read -P 2 2M 2M');
});

test('a finished copy is left alone, whatever became of it', async () => {
  await using bench = new Bench();
  const plan = bench.plan(bench.make('layer', 'raw', '2M', 'write -P 1 0 2M'), 'copy');
  await bench.copyAll([plan]);
  truncateSync(bench.path('copy'), 1);
  const again = await bench.copyAll([plan]);
  expect(again.progress()).toMatchObject({ written: 0n, copiedBefore: 2n * MiB, copiedNow: 0n });
  expect(statSync(bench.path('copy')).size).toBe(1);
});

test('a layer that somebody writes to is refused', async () => {
  await using bench = new Bench();
  const plan = bench.plan(bench.make('active', 'raw', '2M', 'write -P 1 0 2M'), 'copy');
  await using daemon = await bench.openForWriting('active');
  expect(daemon).toBeDefined();
  await expect(bench.copyAll([plan])).rejects.toMatchObject({ name: 'LayerInUse', side: 'source' });
});
