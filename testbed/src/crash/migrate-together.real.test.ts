// Two blockferrys that begin something on one domain at once: one of them does, the other is refused before it touches
// anything. Each stands still in the middle of its beginning until the others have looked and found nothing open.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'vitest';
import type { Ferry, Halt } from './ferry.ts';
import type { FerryPair } from './ferry-pair.ts';
import { sharedPair } from './shared-pair.ts';

let pair: FerryPair;

sharedPair({ rate: 30 }, (started) => {
  pair = started;
});

/** The first thing that a beginning writes: its note. Nobody else can see anything of it yet. */
const BEGINNING: Halt = { at: 'effect', name: 'host.mkdir', signal: 'SIGSTOP' };

/** It has looked, and found nothing that stands against it. */
const planned = (ferry: Ferry) =>
  ferry.find('a plan', ({ type }) => type === 'plan' || type === 'migration-plan' || undefined);

async function refused(ferry: Ferry, code: string): Promise<void> {
  const { outcome, exitCode, error } = await ferry.result();
  assert.deepEqual([outcome, exitCode, error?.code], ['refused', 3, code], error?.message);
}

test('migrations to two places, and a move: the first is migrated, the others are refused and leave nothing', async () => {
  const other = join(pair.away.imagesDir, 'other');
  await mkdir(other);
  const first = pair.migrate([], BEGINNING);
  await first.halted('host.mkdir');
  const second = pair.migrateTo(other);
  const move = pair.command('home', ['move', 'vm', 'vda', join(pair.home.imagesDir, 'moved/')]);
  await mkdir(join(pair.home.imagesDir, 'moved'));
  await Promise.all([planned(second), planned(move)]);
  first.cont();
  await Promise.all([refused(second, 'migration-under-way'), refused(move, 'migration-under-way')]);
  const { outcome, error } = await first.result();
  assert.equal(outcome, 'migrated', JSON.stringify(error));
  for (const directory of [other, join(pair.home.imagesDir, 'moved')]) {
    assert.deepEqual(await readdir(directory), []);
    await rm(directory, { recursive: true });
  }
  await pair.expectWhole('the first', 'away');
  await pair.turn();
});

/** Stopped there, in the middle of what it does; copying goes on beside the loop. */
const PLACES: readonly Halt[] = [
  { at: 'step-done', name: 'claim', signal: 'SIGSTOP' },
  { at: 'step-done', name: 'copy', signal: 'SIGSTOP' },
  { at: 'step-done', name: 'cross:recorded', signal: 'SIGSTOP' },
  { at: 'step-done', name: 'undefine-home', signal: 'SIGSTOP' },
];

test('in every phase: who resumes what another carries out, or types its command again, is refused', async () => {
  const { home, away } = pair;
  const first = pair.migrate([], PLACES);
  for (const { name } of PLACES) {
    await first.halted(name);
    // From where its record can be read: libvirt at home may be held by the migration.
    const on = name.startsWith('cross') || name === 'undefine-home' ? 'away' : 'home';
    const others = [pair.resume(on), ...(on === 'home' ? [pair.migrate()] : [])];
    const before = await readdir(away.imagesDir);
    for (const other of others) await refused(other, 'at-work');
    assert.deepEqual(await readdir(away.imagesDir), before, name);
    first.cont();
  }
  const { outcome, error } = await first.result();
  assert.equal(outcome, 'migrated', JSON.stringify(error));
  assert.deepEqual([pair.home, pair.away], [home, away]);
  await pair.expectWhole('the first', 'away');
  await pair.turn();
});

test('who is killed holds nobody up; an abort is told to the one at work, and waits for it', async () => {
  const first = pair.migrate([], { at: 'step-done', name: 'freeze' });
  await first.diedAfter('freeze');
  const second = pair.resume('home', { at: 'step-done', name: 'copy', signal: 'SIGSTOP' });
  await second.halted('copy');
  const abort = pair.abort();
  await abort.warning('waits-for-another');
  second.cont();
  const [undone, told] = await Promise.all([abort.result(), second.result()]);
  assert.deepEqual([undone.outcome, told.outcome], ['back', 'back']);
  assert.deepEqual(abort.passed('step-done'), []);
  await pair.expectWhole('undone', 'home');
});

test('a move and a migration that begin in the same moment: one of them does, whichever', async () => {
  const to = join(pair.home.imagesDir, 'moved');
  await mkdir(to);
  const beginning = await holdLock();
  const move = pair.command('home', ['move', 'vm', 'vda', `${to}/`, '--guard', 'off']);
  const migration = pair.migrate();
  await Promise.all([planned(migration), planned(move)]);
  beginning.release();
  const [moved, migrated] = await Promise.all([move.result(), migration.result()]);
  if (moved.outcome === 'moved') {
    await refused(migration, 'move-under-way');
    assert.deepEqual(await readdir(pair.away.imagesDir), []);
    assert.deepEqual((await readdir(to)).sort(), ['base.qcow2', 'top.qcow2']);
  } else {
    await refused(move, 'migration-under-way');
    assert.equal(migrated.outcome, 'migrated');
    assert.deepEqual(await readdir(to), []);
    await rm(to, { recursive: true });
    await pair.expectWhole('the migration', 'away');
  }
  assert.deepEqual(await pair.notes(), []);
});

/** What a blockferry holds that begins: see run/host-lock.ts. */
async function holdLock(): Promise<{ release(): void }> {
  const uuid = (await pair.home.virsh('domuuid', 'vm')).trim();
  await mkdir('/run/blockferry', { recursive: true });
  const holder = spawn('flock', [`/run/blockferry/${uuid}.lock`, 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  return { release: () => holder.stdin.end() };
}
