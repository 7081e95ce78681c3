// Killed at any moment, a copy is gone on with: right in the end, and next to nothing is copied twice.
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { copyState } from './copy-state.ts';
import { Bench, MiB } from './testing/bench.ts';

const SIZE = 24n * MiB;
const SPEED = 24n * MiB;
const fill = ['write -P 1 0 7M', 'write -P 2 9M 15M'];

test('the copier killed with SIGKILL, again and again', async () => {
  const moments = fc.sample(fc.bigInt({ min: 0n, max: 6n * MiB }), 6);
  await using bench = new Bench();
  const from = bench.make('layer', 'raw', '24M', ...fill);
  const plan = bench.plan(from, 'copy');
  let written = 0n;
  let kills = 0n;
  for (let done = false; !done; ) {
    const copying = bench.startCopying(plan, MiB, SPEED);
    done = await copying.killAt(moments.pop() ?? SIZE);
    written += copying.written;
    if (!done) kills += 1n;
  }
  expect(kills).toBeGreaterThan(0n);
  expect(bench.same('layer', 'copy')).toBe(true);
  expect(await copyState(bench.host, plan)).toMatchObject({ kind: 'complete', verified: true });
  // Only what was being written is written twice.
  expect(written).toBeLessThanOrEqual(SIZE + kills * MiB);
});

test('the storage daemons killed with SIGKILL, again and again', async () => {
  await using bench = new Bench();
  const from = bench.make('layer', 'raw', '24M', ...fill);
  const plan = bench.plan(from, 'copy');
  let written = 0n;
  let kills = 0n;
  for (let done = false; !done; ) {
    const copy = bench.copy([plan]);
    await copy.setSpeed(kills < 5n ? SPEED : 0n);
    const running = copy.run(AbortSignal.timeout(60_000)).then(
      () => true,
      (error: unknown) => {
        expect(error).toMatchObject({ name: 'CopierDied' });
        return false;
      },
    );
    if (kills < 5n) await killLater(bench, 100 + Number(kills) * 97, running);
    done = await running;
    written += copy.progress().written;
    if (!done) kills += 1n;
  }
  expect(kills).toBeGreaterThan(0n);
  expect(bench.same('layer', 'copy')).toBe(true);
  expect(written).toBeLessThanOrEqual(SIZE + kills * MiB);
});

/** Kills in the middle of a window, unless there is no such moment left before the end. */
async function killLater(bench: Bench, delayMs: number, end: Promise<unknown>): Promise<void> {
  const ended = end.then(() => true);
  for (;;) {
    if (await Promise.race([ended, sleep(delayMs)])) return;
    if (bench.killUsersOf('copy')) return;
  }
}

test('ended by its signal, it says how far it came, and goes on from there', async () => {
  await using bench = new Bench();
  const plan = bench.plan(bench.make('layer', 'raw', '24M', ...fill), 'copy');
  const copy = bench.copy([plan]);
  await copy.setSpeed(8n * MiB);
  const ending = new AbortController();
  const running = copy.run(ending.signal);
  running.catch(() => {});
  while (copy.progress().copiedNow < 5n * MiB) await sleep(5);
  ending.abort(new Error('enough'));
  await expect(running).rejects.toThrow('enough');
  expect(bench.killUsersOf('copy')).toBe(false);
  const state = await copyState(bench.host, plan);
  expect(state).toMatchObject({ kind: 'partial', total: SIZE });
  const again = await bench.copyAll([plan]);
  // And more, if windows were written that the journal did not tell of yet.
  expect(again.progress().copiedBefore).toBeGreaterThanOrEqual(
    state.kind === 'partial' ? state.copied : SIZE,
  );
  expect(bench.same('layer', 'copy')).toBe(true);
});

test('ended while the way to the destination is being made', async () => {
  await using bench = new Bench();
  const plan = bench.plan(bench.make('layer', 'raw', '4M', 'write -P 1 0 4M'), 'copy');
  const ending = new AbortController();
  const lead = async () => {
    ending.abort(new Error('enough'));
    await sleep(50);
    return { [Symbol.asyncDispose]: async () => {} };
  };
  await expect(bench.copy([plan], { lead }).run(ending.signal)).rejects.toThrow('enough');
});
