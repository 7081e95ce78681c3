// A window that is kept in memory until it is verified: the source is read once.
import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { WindowRead } from './copy-follower.ts';
import type { LayerPlan } from './layer-plan.ts';
import { Bench, MiB } from './testing/bench.ts';

/** Serves a file, noting every request. */
function noting(bench: Bench, name: string): Promise<AsyncDisposable> {
  const [socket, log] = [bench.path(`${name}.nbd`), `logfile=${bench.path(`${name}.log`)}`];
  const server = ['nbdkit', '--foreground', '--exit-with-parent', '-U', socket, '--filter=log'];
  return bench.attach(socket, [...server, 'file', bench.path(name), log]);
}

function bytesRead(bench: Bench, name: string): number {
  const reads = readFileSync(bench.path(`${name}.log`), 'utf8').matchAll(/ Read .* count=(0x[0-9a-f]+) /g);
  return [...reads].reduce((sum, [, count]) => sum + Number(count), 0);
}

function fromNbd(bench: Bench, plan: LayerPlan, name: string): LayerPlan {
  const server = { socket: bench.path(`${name}.nbd`) };
  const from = { location: { kind: 'nbd', server, export: '' }, format: 'raw' } as const;
  return { ...plan, from, chain: [from] };
}

test('a source whose copy is verified is read once', async () => {
  await using bench = new Bench();
  const plan = bench.plan(bench.make('layer', 'raw', '32M', 'write -P 1 0 30M'), 'copy');
  await using server = await noting(bench, 'layer');
  expect(server).toBeDefined();
  const copy = await bench.copyAll([fromNbd(bench, plan, 'layer')], { windowBytes: 4n * MiB });
  expect(copy.progress()).toMatchObject({ copiedNow: 32n * MiB, verified: 32n * MiB });
  expect(bench.same('layer', 'copy')).toBe(true);
  // Some windows may have found all memory taken.
  const once = 32 * 1024 * 1024;
  expect(bytesRead(bench, 'layer')).toBeGreaterThanOrEqual(30 * 1024 * 1024);
  expect(bytesRead(bench, 'layer')).toBeLessThan(1.5 * once);
});

test('what somebody follows is kept for as long as he wants it, also when all is copied', async () => {
  await using bench = new Bench();
  const plan = bench.plan(bench.make('layer', 'raw', '4M', 'write -P 1 0 1M', 'write -P 2 1M 3M'), 'copy');
  const seen: string[] = [];
  const follower = {
    follows: () => true,
    read: async (_: unknown, { offset, length, kept }: WindowRead) => {
      await sleep(500);
      // By then all has been copied.
      const from = kept ?? { path: bench.path('layer'), offset };
      const file = await open(from.path);
      const { buffer } = await file.read(
        Buffer.alloc(Number(length)),
        0,
        Number(length),
        Number(from.offset),
      );
      await file.close();
      seen.push(`${offset}: ${kept !== undefined} ${new Set(buffer).size} ${buffer[0]}`);
    },
    finished: () => {},
  };
  await bench.copyAll([plan], { verify: false, follower });
  const kept = [1, 2, 2, 2].map((byte, at) => `${BigInt(at) * MiB}: true 1 ${byte}`);
  expect(new Set(seen)).toEqual(new Set(kept));
});

test('what is not kept is read from the layer by who follows, before the copying is over', async () => {
  await using bench = new Bench();
  // Too few windows for any to be kept.
  const plan = bench.plan(bench.make('layer', 'raw', '1M', 'write -P 1 0 1M'), 'copy');
  let isRead = false;
  const follower = {
    follows: () => true,
    read: async (_: unknown, { kept }: WindowRead) => {
      expect(kept).toBeUndefined();
      await sleep(500);
      isRead = true;
    },
    finished: () => {},
  };
  await bench.copyAll([plan], { verify: true, follower });
  expect(isRead).toBe(true);
});
