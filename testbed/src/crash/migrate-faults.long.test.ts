// A migration while daemons and machines die on either side, and while the destination is full.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, test } from 'vitest';
import { smallFileSystem } from '../faults/file-system.ts';
import type { Ferry } from './ferry.ts';
import { type FerryPair, startFerryPair } from './ferry-pair.ts';

const MiB = 1024n * 1024n;

let pair: FerryPair;

beforeAll(async () => {
  pair = await startFerryPair({ fill: 8n * MiB });
});

afterAll(async () => {
  await pair.stop();
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
    return migrated(what, pair.resume());
  }
  await migrated(what, ferry);
}

/** So that something may happen while images are copied. */
const SLOW = ['--bandwidth', '12M'];
/** So that something may happen in the crossing. */
const CROSS_SLOWLY = ['--bandwidth', '24M'];
/** libvirt sends memory and overlay at this rate, so that something may happen meanwhile. */
async function crossing(ferry: Ferry): Promise<void> {
  await ferry.halted('cross:prepared');
  await sleep(500);
}

for (const side of ['home', 'away'] as const) {
  test(`libvirtd killed at ${side} while images are copied, and again in the crossing`, async () => {
    const ferry = pair.migrate(SLOW);
    const die = async (): Promise<void> => {
      await pair[side].killLibvirtd();
      await sleep(500);
      await pair[side].restartLibvirtd();
    };
    await ferry.copying();
    await die();
    await crossing(ferry);
    await die();
    await migratedInTheEnd(`libvirtd at ${side}`, ferry);
  });
}

test('QEMU killed at home while images are copied, and again in the crossing: what was copied is not copied again', async () => {
  const ferry = pair.migrate(SLOW);
  await ferry.copying();
  await pair.home.killQemu('vm');
  assert.equal((await ferry.result()).error?.code, 'domain-off');
  await pair.start('home');
  const resumed = pair.resume();
  await crossing(resumed);
  await pair.home.killQemu('vm');
  // By when libvirt had noticed.
  assert.match((await resumed.result()).error?.code ?? '', /^(domain-off|crossing-failed)$/);
  assert.equal((await pair.states()).away, 'none');
  await pair.start('home');
  const again = pair.resume();
  await migrated('QEMU at home', again);
  assert.equal(again.passed('step-done').includes('copy'), false);
});

test('QEMU killed at the destination in the crossing: the guest runs on at home', async () => {
  const ferry = pair.migrate(CROSS_SLOWLY);
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

test('everything at home killed right before the record says that it is to run there', async () => {
  await pair.migrate([], { at: 'step-done', name: 'cross:finished' }).diedAfter('cross:finished');
  await pair.home.killLibvirtd();
  await pair.home.killQemu('vm');
  await pair.home.restartLibvirtd();
  await migrated('home, finished', pair.resume());
});

test('Ctrl-C in the crossing calls it off', async () => {
  const ferry = pair.migrate(CROSS_SLOWLY);
  await crossing(ferry);
  ferry.interrupt();
  const { outcome, exitCode, runsOn } = await ferry.result();
  assert.deepEqual([outcome, exitCode, runsOn], ['stopped', 4, 'home']);
  assert.equal((await pair.abort().result()).outcome, 'back');
  await pair.expectWhole('Ctrl-C', 'home');
});

test('an abort from elsewhere in the crossing', async () => {
  // So slowly that the other command has begun before it is over, also on a busy machine.
  const ferry = pair.migrate(['--bandwidth', '3M']);
  await crossing(ferry);
  const [aborting, aborted] = await Promise.all([pair.abort().result(), ferry.result()]);
  assert.deepEqual([aborting.outcome, aborted.outcome], ['back', 'back']);
  await pair.expectWhole('abort', 'home');
});

test('the destination is full: the copy waits, and goes on when there is room', async () => {
  const small = await smallFileSystem(pair.away, { bytes: 96n * MiB });
  const ferry = pair.migrateTo(small.directory, SLOW);
  await ferry.copying();
  await small.fillUp(2n * MiB);
  await ferry.warning('waits-for-space');
  await small.makeRoom();
  await crossing(ferry);
  await small.fillUp();
  const { outcome, runsOn } = await ferry.result();
  // What the overlay holds may have been through already.
  if (outcome !== 'migrated') assert.deepEqual([outcome, runsOn], ['interrupted', 'home']);
  await small.makeRoom();
  if (outcome !== 'migrated') assert.equal((await pair.abort().result()).outcome, 'back');
  if (outcome !== 'migrated') await pair.expectWholeBut('full', 'home', ['small']);
  await small.stop();
});
