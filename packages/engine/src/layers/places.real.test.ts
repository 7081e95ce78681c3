// Layers are copied between storage of every kind, here and on another machine.
import { compare, toJsonFilename } from '@blockferry/qemu';
import { startCeph } from '@blockferry/testbed';
import { expect, test } from 'vitest';
import { describeEachHost } from '../../../qemu/src/testing/each-host.ts';
import { copyState } from './copy-state.ts';
import { LayerCopy } from './layer-copy.ts';
import { copyJournalPath } from './layer-plan.ts';
import { Bench, MiB } from './testing/bench.ts';

test('a block device, larger than the layer and not empty, to and from', async () => {
  await using bench = new Bench();
  const from = bench.make('layer', 'qcow2', '8M', 'write -P 1 0 3M', 'write -P 2 5M 1M');
  bench.make('disk', 'raw', '16M', 'write -P 7 0 16M');
  using device = bench.loopDevice('disk');
  const onDevice = { location: { kind: 'block', path: device.path }, format: 'qcow2' } as const;
  const there = { ...bench.plan(from, 'journal-only'), to: onDevice };
  await bench.copyAll([there]);
  expect(bench.run('qemu-img', 'compare', '-f', 'qcow2', '-F', 'qcow2', 'layer', device.path)).toContain(
    'identical',
  );
  const back = bench.plan(onDevice, 'back');
  await bench.copyAll([back]);
  bench.run('cmp', device.path, 'back');
  expect(await copyState(bench.host, back)).toMatchObject({
    kind: 'complete',
    verified: true,
    total: 16n * MiB,
  });
});

test('the zeroes of a layer are zeroes on a device that held something else', async () => {
  await using bench = new Bench();
  const from = bench.make('layer', 'raw', '8M', 'write -P 1 2M 1M');
  bench.make('disk', 'raw', '8M', 'write -P 7 0 8M');
  using device = bench.loopDevice('disk');
  const to = { location: { kind: 'block', path: device.path }, format: 'raw' } as const;
  await bench.copyAll([{ ...bench.plan(from, 'journal-only'), to }]);
  bench.run('cmp', 'layer', device.path);
  // In the contents of a format that has nothing there, too.
  bench.write('disk', 'raw', 'write -P 7 0 8M');
  const sparse = bench.make('sparse', 'qcow2', '8M', 'write -P 3 4M 64k');
  const flat = { ...bench.plan(sparse, 'journal-only-2'), to, how: 'contents' } as const;
  await bench.copyAll([flat]);
  expect(bench.run('qemu-img', 'compare', '-f', 'qcow2', '-F', 'raw', 'sparse', device.path)).toContain(
    'identical',
  );
});

describeEachHost('layers', (on) => {
  test('are copied, whatever their names', async () => {
    const path = on.path('it\'s a, b=c "layer"\n');
    await on.host.run(['qemu-img', 'create', '-q', '-f', 'qcow2', path, '8M']);
    await on.host.run(['qemu-io', '-f', 'qcow2', '-c', 'write -P 1 0 5M', path]);
    const to = on.path('the copy: of it');
    await on.host.createExclusive(to);
    const from = { location: { kind: 'file', path }, format: 'qcow2' } as const;
    const plan = {
      from,
      to: { location: { kind: 'file', path: to }, format: 'qcow2' },
      how: 'bytes',
      chain: [from],
      journal: copyJournalPath(to),
    } as const;
    const copy = new LayerCopy(on.host, [plan], { windowBytes: MiB, verify: true, moveId: 'move' });
    await copy.run(AbortSignal.timeout(60_000));
    expect(await on.host.run(['cmp', path, to])).toMatchObject({ code: 0 });
    expect(await copyState(on.host, plan)).toMatchObject({ kind: 'complete', verified: true });
  });
});

test('a chain becomes one RBD image, sparse, that held something else', async () => {
  await using bench = new Bench();
  const ceph = await startCeph({ parent: bench.directory });
  try {
    const from = bench.make('layer', 'qcow2', '64M', 'write -P 1 8M 5M', 'write -P 2 40M 1M');
    await ceph.createImage('disk', 64n * MiB);
    const location = { kind: 'rbd', pool: 'rbd', image: 'disk', conf: ceph.conf } as const;
    const to = { location, format: 'raw' } as const;
    const node = toJsonFilename(to);
    bench.run('qemu-io', '-c', 'write -P 7 20M 4M', node);
    const plan = { ...bench.plan(from, 'journal-only'), to, how: 'contents' } as const;
    await bench.copyAll([plan], { windowBytes: 16n * MiB });
    expect(await compare(bench.host, [from], [to], { timeoutMs: 30_000 })).toEqual({ same: true });
    expect(await ceph.allocated('disk')).toBeLessThanOrEqual(16n * MiB);
    const back = { ...bench.plan(to, 'back'), how: 'bytes' } as const;
    await bench.copyAll([back], { windowBytes: 16n * MiB });
    expect(await compare(bench.host, [from], [back.to], { timeoutMs: 30_000 })).toEqual({ same: true });
  } finally {
    await ceph.stop();
  }
});
