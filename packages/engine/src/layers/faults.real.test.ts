// Storage that fills up, fails, forgets or is not what the journal says: told apart, and nothing is believed wrongly.
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { faultyNbdServer, nbdServer } from '@blockferry/testbed';
import { expect, test } from 'vitest';
import { copyState } from './copy-state.ts';
import type { LayerPlan } from './layer-plan.ts';
import { Bench, MiB } from './testing/bench.ts';

const layer = (bench: Bench) => bench.make('layer', 'raw', '8M', 'write -P 1 0 5M', 'write -P 2 6M 2M');

function toNbd(plan: LayerPlan, socket: string): LayerPlan {
  return { ...plan, to: { location: { kind: 'nbd', server: { socket }, export: '' }, format: 'raw' } };
}

/** Copies until some windows are journaled, then stops. */
async function copyPart(bench: Bench, plan: LayerPlan, verify = true): Promise<void> {
  const copy = bench.copy([plan], { verify });
  await copy.setSpeed(4n * MiB);
  const ending = new AbortController();
  const running = copy.run(ending.signal).catch(() => {});
  for (;;) {
    const state = await copyState(bench.host, plan);
    if (state.kind === 'complete') throw new Error('all of it was copied before it could be stopped');
    if (state.kind === 'partial' && state.copied >= 3n * MiB) break;
  }
  ending.abort();
  await running;
}

test('what was damaged after it was copied is noticed and copied again', async () => {
  await using bench = new Bench();
  const plan = bench.plan(layer(bench), 'copy');
  await copyPart(bench, plan, false);
  bench.write('copy', 'raw', 'write -P 9 1500k 512');
  const copy = await bench.copyAll([plan]);
  expect(bench.same('layer', 'copy')).toBe(true);
  const { written, copiedBefore, total } = copy.progress();
  expect(written).toBe(total - copiedBefore + MiB);
});

test('storage that forgets what was written ends in an error that names the place', async () => {
  await using bench = new Bench();
  await using server = await bench.attach(bench.path('socket'), [
    ...['nbdkit', '--foreground', '--exit-with-parent', '-U', bench.path('socket'), 'null', '8M'],
  ]);
  expect(server).toBeDefined();
  // One window: windows are compared side by side, and which of two differences is met first is chance.
  const from = bench.make('layer', 'raw', '8M', 'write -P 1 3M 1M');
  const plan = toNbd(bench.plan(from, 'copy'), bench.path('socket'));
  await expect(bench.copyAll([plan])).rejects.toMatchObject({ name: 'LayerDiffers', offset: 3n * MiB, plan });
});

test('an NBD export is filled, holes and all', async () => {
  await using bench = new Bench();
  const from = layer(bench);
  bench.run('truncate', '-s', '8M', 'served');
  bench.write('served', 'raw', 'write -P 7 4M 4M');
  await using server = await nbdServer({ path: bench.path('served') });
  expect(server).toBeDefined();
  const plan = toNbd(bench.plan(from, 'copy'), bench.path('served.nbd'));
  await bench.copyAll([plan]);
  expect(bench.same('layer', 'served')).toBe(true);
  expect(Number(bench.run('stat', '-c', '%b', 'served')) * 512).toBeLessThanOrEqual(7 * 1024 * 1024 + 65536);
});

test('a destination that is full is waited for', async () => {
  await using bench = new Bench();
  bench.run('truncate', '-s', '8M', 'served');
  await using server = await faultyNbdServer({
    path: bench.path('served'),
    error: 'ENOSPC',
    failing: ['pwrite', 'zero'],
  });
  const plan = toNbd(bench.plan(layer(bench), 'copy'), bench.path('served.nbd'));
  await server.fail();
  const copy = bench.copy([plan]);
  const running = copy.run(AbortSignal.timeout(60_000));
  while (copy.progress().state !== 'waiting-for-space') await sleep(10);
  await server.heal();
  await running;
  expect(bench.same('layer', 'served')).toBe(true);
});

test('a file system that is full is waited for, by the journal too', async () => {
  await using bench = new Bench();
  using full = bench.mountTmpfs('small', '6M');
  const from = layer(bench);
  const plan = bench.plan(from, 'small/copy');
  writeFileSync(bench.path('small/ballast'), Buffer.alloc(3 << 20, 1));
  const copy = bench.copy([plan]);
  const running = copy.run(AbortSignal.timeout(60_000));
  while (copy.progress().state !== 'waiting-for-space') await sleep(10);
  full.grow('20M');
  await running;
  expect(bench.same('layer', 'small/copy')).toBe(true);
});

test.each([
  ['write', 'destination'],
  ['read back', 'destination'],
] as const)('an error at the %s names the %s and where', async (what, side) => {
  await using bench = new Bench();
  bench.run('truncate', '-s', '1M', 'served');
  const failing = what === 'write' ? (['pwrite', 'zero'] as const) : (['pread'] as const);
  await using server = await faultyNbdServer({ path: bench.path('served'), failing });
  await server.fail();
  // One window, as above.
  const from = bench.make('layer', 'raw', '1M', 'write -P 1 0 1M');
  const plan = toNbd(bench.plan(from, 'copy'), bench.path('served.nbd'));
  await expect(bench.copyAll([plan])).rejects.toMatchObject({ name: 'LayerFailed', side, offset: 0n, plan });
  await server.heal();
  await bench.copyAll([plan]);
  expect(bench.same('layer', 'served')).toBe(true);
});

test('an error of the source names it', async () => {
  await using bench = new Bench();
  const plan = bench.plan(layer(bench), 'copy');
  await using server = await faultyNbdServer({ path: bench.path('layer'), failing: ['pread'] });
  const from = {
    location: { kind: 'nbd', server: { socket: bench.path('layer.nbd') }, export: '' },
    format: 'raw',
  } as const;
  await server.fail();
  await expect(bench.copyAll([{ ...plan, from, chain: [from] }])).rejects.toMatchObject({
    name: 'LayerFailed',
    side: 'source',
  });
});

test('a journal of another source is refused, naming both', async () => {
  await using bench = new Bench();
  const plan = bench.plan(layer(bench), 'copy');
  await copyPart(bench, plan);
  const other = { ...plan, from: bench.make('other', 'raw', '8M') };
  await expect(bench.copyAll([other])).rejects.toMatchObject({
    name: 'JournalForeign',
    differences: expect.arrayContaining([expect.stringMatching(/name was .*layer.* is .*other/)]),
  });
  bench.run('touch', 'layer');
  expect(await copyState(bench.host, plan)).toMatchObject({ kind: 'foreign' });
  await expect(bench.copyAll([plan])).rejects.toMatchObject({ name: 'JournalForeign' });
});

test('a destination that was made anew does not have what the journal counts', async () => {
  await using bench = new Bench();
  const plan = bench.plan(layer(bench), 'copy');
  await copyPart(bench, plan);
  writeFileSync(bench.path('new'), '');
  bench.run('mv', 'new', 'copy');
  expect(await copyState(bench.host, plan)).toMatchObject({ kind: 'foreign' });
  rmSync(bench.path('copy'));
  expect(await copyState(bench.host, plan)).toMatchObject({ kind: 'foreign' });
});

test('a journal that was torn is begun anew', async () => {
  await using bench = new Bench();
  const plan = bench.plan(layer(bench), 'copy');
  await copyPart(bench, plan);
  writeFileSync(plan.journal, readFileSync(plan.journal, 'utf8').slice(0, -10));
  expect(await copyState(bench.host, plan)).toEqual({ kind: 'none' });
  expect((await bench.copyAll([plan])).progress().copiedBefore).toBe(0n);
  expect(bench.same('layer', 'copy')).toBe(true);
});

test('a source that changes while it is copied ends the copy', async () => {
  await using bench = new Bench();
  const plan = bench.plan(layer(bench), 'copy');
  const copy = bench.copy([plan]);
  await copy.setSpeed(4n * MiB);
  const running = copy.run(AbortSignal.timeout(60_000));
  while (copy.progress().copiedNow === 0n) await sleep(5);
  appendFileSync(bench.path('layer'), 'x');
  await expect(running).rejects.toMatchObject({ name: 'SourceChanged' });
});

test('a speed that is set while it runs is held, and lifted', async () => {
  await using bench = new Bench();
  const plan = bench.plan(bench.make('long', 'raw', '64M', 'write -P 1 0 64M'), 'copy');
  const copy = bench.copy([plan], { windowBytes: 64n * MiB });
  await copy.setSpeed(4n * MiB);
  const start = performance.now();
  const running = copy.run(AbortSignal.timeout(60_000));
  while (performance.now() - start < 1500) await sleep(20);
  const seconds = (performance.now() - start) / 1000;
  // QEMU lets one request of each worker through at once before it counts.
  expect(Number(copy.progress().copiedNow)).toBeLessThan(Number(4n * MiB) * seconds + 40e6);
  await copy.setSpeed(0n);
  await running;
  expect(bench.same('long', 'copy')).toBe(true);
});

test('a file system that knows no direct I/O does without', async () => {
  await using bench = new Bench();
  mkdirSync(bench.path('d'));
  const { status } = spawnSync('mount', ['-t', 'ramfs', 'none', bench.path('d')]);
  expect(status).toBe(0);
  try {
    const plan = bench.plan(layer(bench), 'd/copy');
    await bench.copyAll([plan]);
    expect(bench.same('layer', 'd/copy')).toBe(true);
  } finally {
    bench.run('umount', 'd');
  }
});
