// blockferry is killed after each step of a migration after which it differs: the guest ends at home or away, never on both,
// never on neither.
import assert from 'node:assert/strict';
import { test } from 'vitest';
import type { FerryPair } from './ferry-pair.ts';
import { sharedPair } from './shared-pair.ts';

let pair: FerryPair;

sharedPair({ rate: 100 }, (started) => {
  pair = started;
});

async function crossed(what: string): Promise<void> {
  await pair.expectWhole(what, 'away');
  await pair.turn();
}

test('while one is open: status tells of it, its disks are not moved, and the same command goes on', async () => {
  await pair.migrate([], { at: 'step-done', name: 'freeze' }).diedAfter('freeze');
  const status = pair.command('home', ['status', 'vm']);
  await status.gone();
  assert.deepEqual(
    status.lines.map((line) => line.type),
    ['migration', 'result'],
  );
  assert.ok(status.lines.every((line) => line.type !== 'migration' || line.atWork === false));
  const move = await pair.command('home', ['move', 'vm', 'vda', `${pair.home.imagesDir}/other`]).result();
  assert.equal(move.error?.code, 'migration-under-way');
  // QEMU mirrors between images of one size.
  await pair.home.virsh('blockresize', 'vm', 'vda', '80M');
  const again = pair.migrate();
  assert.equal(await again.warning('continuing'), `continuing the migration of vm to ${pair.away.uri}`);
  assert.equal((await again.result()).outcome, 'migrated');
  assert.match(await pair.away.virsh('domblkinfo', 'vm', 'vda'), /Capacity: +83886080\n/);
  await crossed('the same command');
});

/** Steps after which the domain is not at the destination for good. */
const BEFORE = [
  'claim',
  'freeze:overlays',
  'copy',
  'prepare',
  'cross:prepared',
  'cross:performed',
  'cross:finished',
];
/** It runs there, or the record says that it is to. */
const AFTER = [
  'cross:recorded',
  'cross:running',
  'undefine-home',
  'collapse:start-leg',
  'collapse:finish-leg',
  'clear-home',
];

for (const [at, name] of [...BEFORE, ...AFTER].entries()) {
  test(`killed after ${name}, then resumed`, async () => {
    await pair.migrate([], { at: 'step-done', name }).diedAfter(name);
    // What is known to both sides is found from either.
    const from = at % 3 > 0 ? 'home' : 'away';
    const result = await pair.resume(from).result();
    assert.equal(result.outcome, 'migrated', JSON.stringify(result.error));
    await crossed(name);
  });
}

test('killed after its last step: resume says how it ended, abort where the domain is', async () => {
  await pair.migrate([], { at: 'step-done', name: 'close' }).diedAfter('close');
  const { error } = await pair.abort().result();
  assert.equal(error?.code, 'no-such-domain');
  assert.ok(error.hint?.includes(`blockferry -c '${pair.away.uri}' status vm`), error.hint ?? '');
  assert.equal((await pair.resume('away').result()).outcome, 'nothing');
  const { outcome, runsOn } = await pair.resume().result();
  assert.deepEqual({ outcome, runsOn }, { outcome: 'migrated', runsOn: 'away' });
  await crossed('close');
});

for (const name of ['copy', 'cross:performed', 'cross:finished']) {
  test(`killed after ${name}, then aborted`, async () => {
    await pair.migrate([], { at: 'step-done', name }).diedAfter(name);
    const result = await pair.abort().result();
    assert.equal(result.outcome, 'back', JSON.stringify(result.error));
    await pair.expectWhole(name, 'home');
  });
}
