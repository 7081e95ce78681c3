// A migration while daemons and machines die on either side, and while the destination is full.
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { smallFileSystem } from '../faults/file-system.ts';
import { until } from '../process/until.ts';
import type { Ferry } from './ferry.ts';
import type { FerryPair } from './ferry-pair.ts';
import { sharedPair } from './shared-pair.ts';

const MiB = 1024n * 1024n;

let pair: FerryPair;

sharedPair({ fill: 8n * MiB, rate: 100 }, (started) => {
  pair = started;
});

async function migrated(what: string, ferry: Ferry): Promise<void> {
  const result = await ferry.result();
  assert.equal(result.outcome, 'migrated', `${what}: ${JSON.stringify(result.error)}`);
  await pair.expectWhole(what, 'away');
  await pair.turn();
}

/** As migrated, or by a `resume` after it was interrupted; until then the guest runs on at home. */
async function migratedInTheEnd(what: string, ferry: Ferry): Promise<void> {
  const result = await ferry.result();
  if (result.outcome !== 'migrated') {
    assert.deepEqual(
      [result.exitCode, result.runsOn],
      [4, 'home'],
      `${what}: ${JSON.stringify(result.error)}`,
    );
    await speed(FAST);
    return migrated(what, pair.resume());
  }
  await migrated(what, ferry);
}

test('one that cannot cross for what it was begun with goes on with what the same command says anew', async () => {
  const failed = await pair.migrate(['--migrateuri', 'tcp://no.such.name.invalid']).result();
  assert.deepEqual([failed.exitCode, failed.error?.code], [4, 'crossing-failed'], failed.error?.message);
  const again = pair.migrate();
  assert.equal((await again.result()).verifiedBytes, 0, 'nothing is copied again');
  await migrated('another address', again);
});

const stopAfter = (name: string) => ({ at: 'step-done', name, signal: 'SIGSTOP' }) as const;
/** It stands still when it has begun to copy images, and again before libvirt sends memory and overlay. */
const BEFORE_BOTH = [stopAfter('copy'), stopAfter('cross:prepared')];
const BEFORE_CROSSING = stopAfter('cross:prepared');

/** libvirt is sending memory and overlay, at 1 MiB a second: it would take minutes. */
async function crossing(ferry: Ferry): Promise<void> {
  await ferry.halted('cross:prepared');
  await speed(1);
  ferry.cont();
  await until('memory and overlay on their way', async () => {
    const job = await pair.home.virsh('domjobinfo', 'vm').catch(() => '');
    return /processed: +[1-9]/.test(job) || undefined;
  });
}

/** Of what libvirt sends from home, in MiB a second, until the next call, or until QEMU or libvirtd there ends. */
async function speed(limit: number): Promise<void> {
  await pair.home.virsh('migrate-setspeed', 'vm', String(limit));
}
const FAST = 8_000;

for (const side of ['home', 'away'] as const) {
  test(`libvirtd killed at ${side} while images are copied, and again in the crossing`, async () => {
    const ferry = pair.migrate([], BEFORE_BOTH);
    await ferry.halted('copy');
    await pair[side].killLibvirtd();
    ferry.cont();
    await ferry.warning('daemon-away');
    await pair[side].restartLibvirtd();
    await crossing(ferry);
    await pair[side].killLibvirtd();
    await pair[side].restartLibvirtd();
    await migratedInTheEnd(`libvirtd at ${side}`, ferry);
  });
}

test('QEMU killed at home while images are copied, and again in the crossing: what was copied is not copied again', async () => {
  const ferry = pair.migrate([], stopAfter('copy'));
  await ferry.halted('copy');
  await pair.home.killQemu('vm');
  ferry.cont();
  assert.equal((await ferry.result()).error?.code, 'domain-off');
  await pair.start('home');
  const resumed = pair.resume('home', BEFORE_CROSSING);
  await crossing(resumed);
  await pair.home.killQemu('vm');
  // By when libvirt had noticed.
  assert.match((await resumed.result()).error?.code ?? '', /^(domain-off|crossing-failed)$/);
  assert.equal((await pair.states()).away, 'none');
  await pair.start('home');
  await speed(FAST);
  const again = pair.resume();
  await migrated('QEMU at home', again);
  assert.equal(again.passed('step-done').includes('copy'), false);
});

test('QEMU killed at the destination in the crossing: the guest runs on at home', async () => {
  const ferry = pair.migrate([], BEFORE_CROSSING);
  await crossing(ferry);
  await pair.away.killQemu('vm');
  await migratedInTheEnd('QEMU at the destination, crossing', ferry);
});

test('QEMU killed at the destination right after it was told to run: it is there, off, with all its writes', async () => {
  await pair.migrate([], { at: 'step-done', name: 'cross:running' }).diedAfter('cross:running');
  await pair.away.killQemu('vm');
  const { outcome, runsOn } = await pair.resume().result();
  assert.deepEqual([outcome, runsOn], ['migrated', 'neither']);
  await pair.start('away');
  await pair.expectWhole('QEMU at the destination, arrived', 'away');
  await pair.turn();
});

test('QEMU killed at the destination before it was told to run: it goes on at home', async () => {
  await pair.migrate([], { at: 'step-done', name: 'cross:finished' }).diedAfter('cross:finished');
  await pair.away.killQemu('vm');
  await migrated('QEMU at the destination, finished', pair.resume());
});

test('everything at home killed right before the record says that it is to run there: it is at home, for nobody knows whether it went on there', async () => {
  await pair.migrate([], { at: 'step-done', name: 'cross:finished' }).diedAfter('cross:finished');
  await pair.home.killLibvirtd();
  await pair.home.killQemu('vm');
  await pair.home.restartLibvirtd();
  assert.equal((await pair.resume().result()).error?.code, 'domain-off');
  assert.deepEqual(await pair.states(), { home: 'shut off', away: 'none' });
  await pair.start('home');
  await migrated('home, finished', pair.resume());
});

test('Ctrl-C in the crossing calls it off', async () => {
  const ferry = pair.migrate([], BEFORE_CROSSING);
  await crossing(ferry);
  ferry.interrupt();
  const { outcome, exitCode, runsOn } = await ferry.result();
  assert.deepEqual([outcome, exitCode, runsOn], ['stopped', 4, 'home']);
  assert.equal((await pair.abort().result()).outcome, 'back');
  await speed(FAST);
  await pair.expectWhole('Ctrl-C', 'home');
});

test('an abort from elsewhere in the crossing', async () => {
  const ferry = pair.migrate([], BEFORE_CROSSING);
  await crossing(ferry);
  const [aborting, aborted] = await Promise.all([pair.abort().result(), ferry.result()]);
  assert.deepEqual([aborting.outcome, aborted.outcome], ['back', 'back']);
  await speed(FAST);
  await pair.expectWhole('abort', 'home');
});

test('the destination is full: the copy waits, and goes on when there is room; full in the crossing, it is back at home', async () => {
  const small = await smallFileSystem(pair.away, { bytes: 96n * MiB });
  const ferry = pair.migrateTo(small.directory, [], [stopAfter('freeze'), BEFORE_CROSSING]);
  await ferry.halted('freeze');
  await small.fillUp(2n * MiB);
  ferry.cont();
  await ferry.warning('waits-for-space');
  await small.makeRoom();
  await ferry.halted('cross:prepared');
  await small.fillUp();
  ferry.cont();
  const { outcome, runsOn } = await ferry.result();
  assert.deepEqual([outcome, runsOn], ['interrupted', 'home']);
  await small.makeRoom();
  assert.equal((await pair.abort().result()).outcome, 'back');
  await pair.expectWholeBut('full', 'home', ['small']);
  await small.stop();
});
