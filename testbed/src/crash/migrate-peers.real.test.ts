// An open migration found and finished where the other host is reached otherwise; and what is left behind is found, and
// removed only if it is ours and nobody's way back.
import assert from 'node:assert/strict';
import { readdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'vitest';
import { startIdle } from '../move/idle-domain.ts';
import type { Ferry, Halt } from './ferry.ts';
import type { FerryPair } from './ferry-pair.ts';
import { sharedPair } from './shared-pair.ts';

let pair: FerryPair;
/** Another name of the destination's socket, as it would be on another machine. */
let alias: string;

sharedPair({ rate: 30, fill: 1n << 20n }, (started) => {
  pair = started;
  alias = join(pair.away.directory, 'other-sock');
});

/** Begun over a URI that leads nowhere afterwards. */
async function begunElsewhere(name: string): Promise<void> {
  await symlink(pair.away.socket, alias);
  const halt: Halt = { at: 'step-done', name };
  const uri = `qemu+unix:///system?socket=${alias}`;
  const to = ['--dest-dir', pair.away.imagesDir, '--migrateuri', 'tcp://127.0.0.1', '--guard', 'off'];
  await pair.command('home', ['migrate', 'vm', uri, ...to], halt).diedAfter(name);
  await rm(alias);
}

type Leftover = {
  readonly type: 'leftover';
  readonly verdict: string;
  readonly why: string | null;
  readonly sources?: readonly string[];
  readonly removed: readonly string[];
};

async function cleanup(on: 'home' | 'away', ...argv: readonly string[]): Promise<Leftover[]> {
  const ferry: Ferry = pair.command(on, ['cleanup', ...argv, '--yes']);
  await ferry.gone();
  return ferry.lines.filter((line) => String(line.type) === 'leftover') as unknown as Leftover[];
}

test('aborted from home with --peer, where the recorded URI leads nowhere; without it, it says so', async () => {
  await begunElsewhere('freeze');
  const lost = await pair.resume().result();
  assert.deepEqual([lost.outcome, lost.exitCode, lost.error?.code], ['interrupted', 4, 'cannot-connect']);
  assert.match(lost.error?.hint ?? '', /resume vm --peer URI/);
  const list = pair.command('home', ['list']);
  await list.gone();
  assert.deepEqual(
    list.lines.map((line) => line.type as string),
    ['domain', 'migration', 'result'],
  );
  const elsewhere = await pair.command('home', ['resume', 'vm', '--peer', pair.home.uri]).result();
  assert.equal(elsewhere.error?.code, 'other-host');
  const aborted = await pair.command('home', ['abort', 'vm', '--peer', pair.away.uri]).result();
  assert.equal(aborted.outcome, 'back', JSON.stringify(aborted.error));
  await pair.expectWhole('aborted', 'home');
});

test('what was claimed there and is open nowhere any more is removed, and nothing before', async () => {
  await pair.migrate([], { at: 'step-done', name: 'claim' }).diedAfter('claim');
  const there = pair.away.imagesDir;
  assert.match((await cleanup('away', there))[0]?.why ?? '', /is open/);
  assert.match((await cleanup('home', 'vm'))[0]?.why ?? '', /is open/);
  await pair.home.virsh('metadata', 'vm', 'urn:blockferry:migration:1', '--remove', '--live', '--config');
  const [left] = await cleanup('away', there);
  assert.equal(left?.verdict, 'remove-copy', left?.why ?? '');
  assert.deepEqual(await readdir(there), []);
  await pair.expectWhole('claimed', 'home');
});

test('resumed from the destination with --peer; the images at home stay until they are asked for, and unused', async () => {
  await begunElsewhere('copy');
  const resumed = pair.command('away', ['resume', 'vm', '--peer', pair.home.uri]);
  const result = await resumed.result();
  assert.equal(result.outcome, 'migrated', JSON.stringify(result.error));
  const away = resumed.lines.filter((line) => line.type === 'warning' && line.code === 'daemon-away');
  assert.deepEqual(away, [], 'the connection to the other host stays open');
  const sources = ['top.qcow2', 'base.qcow2'].map((name) => join(pair.home.imagesDir, name));
  // The note has the URI by which nobody reaches the destination from here.
  const ask = ['vm', '--delete-source', '--peer', pair.away.uri];
  const [kept] = await cleanup('home', 'vm', '--peer', pair.away.uri);
  assert.deepEqual([kept?.verdict, kept?.sources, kept?.removed], ['remove-copy', sources, []]);
  const disks = [{ path: sources[1] ?? '', format: 'qcow2', target: 'vda' }] as const;
  await startIdle(pair.home, { name: 'other', disks, as: 'off' });
  const [part] = await cleanup('home', ...ask);
  assert.match(part?.why ?? '', /base.qcow2 is used by other/);
  assert.deepEqual(part?.removed, sources.slice(0, 1));
  await pair.home.virsh('undefine', 'other');
  assert.deepEqual(await readdir(pair.home.imagesDir), ['base.qcow2']);
  const [gone] = await cleanup('home', ...ask);
  assert.deepEqual(gone?.removed, sources.slice(1), gone?.why ?? '');
  assert.deepEqual(await readdir(pair.home.imagesDir), []);
  assert.deepEqual(await readdir(pair.stateDirectory), []);
});
