// blockferry killed with SIGKILL after every step of a backup, full or incremental, and of a restore: whatever way out is
// taken, no torn backup is taken for a good one, and the guest's disk is whole.
import assert from 'node:assert/strict';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { backupDirectory, expectBackups, expectOfInstant, imageAt, pointsIn } from './backed-up.ts';
import { type Berth, makeBerth, startHarbour } from './berth.ts';
import type { Halt, Result } from './ferry.ts';

let host: LibvirtHost;
beforeAll(async () => {
  host = await startHarbour();
});
afterAll(async () => {
  await host.stop();
});

/** The steps are carried on in these ways in turn. */
const WAYS = ['resume', 'abort', 'again'] as const;

/** Of the copies that a full backup is made of, those that leave something else behind; they have a sweep of their own. */
const STEPS = [
  ...['prepare', 'record', 'make-checkpoint', 'copy', 'seal', 'tidy', 'close', 'close#2'],
  ...['freeze', 'copy-layers', 'keep-copies', 'finish-leg'],
];

async function killedAfterEachStep(
  berth: Berth,
  name: string,
  options: readonly string[],
  from: number,
): Promise<void> {
  const directory = backupDirectory(berth, name);
  const incremental = options.includes('--incremental');
  const backUp = (halt?: Halt) => berth.ferry(['backup', berth.name, directory, ...options], halt);
  if (incremental) await fullBackup(berth, directory);
  const course = backUp();
  assert.equal((await course.result()).outcome, 'done');
  const passed = course.passed('step-done');
  const steps = incremental ? passed : STEPS.filter((step) => passed.includes(step));
  assert.ok(incremental || steps.length === STEPS.length, passed.join());
  for (const [at, step] of steps.entries()) {
    const way = WAYS[(at + from) % WAYS.length] ?? 'resume';
    const what = `${name} after ${step}, then ${way}`;
    const pointsBefore = (await pointsIn(directory)).length;
    const before = await berth.guest.acknowledged();
    await backUp({ at: 'step-done', name: step }).diedAfter(step);
    const result = await carryOn(berth, way, backUp);
    const points = await expectBackups(berth, directory, what);
    // Killed when all was done: a further one was made.
    const more = points.length - pointsBefore;
    // Each full one stands alone: those before were looked at.
    const alone = incremental ? [] : points.slice(0, -1);
    for (const point of alone) await rm(join(directory, point), { recursive: true });
    assert.ok(madeAsPromised(way, result, more), `${what}: ${more} more, ${JSON.stringify(result)}`);
    const newest = points.at(-1);
    if (more === 0 || newest === undefined) continue;
    await expectOfInstant(
      await imageAt(directory, newest),
      { before, after: await berth.guest.acknowledged() },
      what,
    );
  }
}

/** Without the guard, which would first listen to the guest for a while. */
async function fullBackup(berth: Berth, directory: string): Promise<void> {
  const full = berth.ferry(['backup', berth.name, directory, '--guard', 'off']);
  assert.equal((await full.result()).outcome, 'done');
}

async function carryOn(
  berth: Berth,
  way: (typeof WAYS)[number],
  again: () => ReturnType<Berth['ferry']>,
): Promise<Result> {
  switch (way) {
    case 'resume':
      return berth.resume().result();
    case 'abort':
      return berth.ferry(['abort', berth.name]).result();
    case 'again':
      return again().result();
  }
}

function madeAsPromised(way: (typeof WAYS)[number], { outcome, error }: Result, more: number): boolean {
  if (way === 'again') return outcome === 'done' && more >= 1;
  const ended = outcome === 'nothing' || error?.code === 'no-open-move';
  // Sealed before it died: too late to go back.
  if (outcome === 'done' || ended) return more === 1;
  return way === 'abort' && outcome === 'back' && more === 0;
}

describe.concurrent('blockferry killed after each step', () => {
  it('of a full backup', async () => {
    await using berth = await makeBerth(host, 'full');
    await killedAfterEachStep(berth, 'full', ['--guard', 'off'], 0);
  }, 600_000);

  it('of an increment', async () => {
    await using berth = await makeBerth(host, 'increment');
    for (const from of [0, 1]) await killedAfterEachStep(berth, `increment${from}`, ['--incremental'], from);
  }, 600_000);

  it('of a restore: the same again makes it, and until then the domain can be started', async () => {
    await using berth = await makeBerth(host, 'restore');
    const directory = backupDirectory(berth, 'backups');
    await fullBackup(berth, directory);
    await berth.guest.stop();
    const restore = (halt?: Halt) => berth.ferry(['restore', directory, '--over'], halt);
    const course = restore();
    assert.equal((await course.result()).outcome, 'done');
    for (const step of course.passed('step-done')) {
      const before = (await readdir(berth.directory)).length;
      await restore({ at: 'step-done', name: step }).diedAfter(step);
      await host.virsh('start', '--paused', berth.name);
      await host.virsh('destroy', berth.name);
      const result = await restore().result();
      assert.equal(result.outcome, 'done', `after ${step}: ${JSON.stringify(result)}`);
      // The image that it left is kept, and nothing else is left.
      const files = await readdir(berth.directory);
      // Killed when all was done, it was made twice.
      const images = step === 'close' ? 2 : 1;
      assert.ok(files.length <= before + images, `after ${step}: ${files.join()}`);
      assert.deepEqual(
        files.filter((file) => file.startsWith('.')),
        [],
        `after ${step}`,
      );
    }
    await berth.guest.start();
    await berth.guest.waitForWrites(20);
  }, 600_000);
});
