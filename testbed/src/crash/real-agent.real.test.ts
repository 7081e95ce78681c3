// QEMU's own guest agent in a guest that writes to a mounted file system: what is copied of it, and that it goes on.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, it } from 'vitest';
import { partitionOffset, readTextFile } from '../images/files.ts';
import { type Image, withRawView } from '../images/raw-view.ts';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { run } from '../process/run.ts';
import { until } from '../process/until.ts';
import { imageAt, pointsIn } from './backed-up.ts';
import { type Berth, makeBerth, startHarbour } from './berth.ts';
import { ends, goesBack, refuses } from './endings.ts';
import type { Ferry, Halt } from './ferry.ts';

let host: LibvirtHost;
let berth: Berth;
let directory: string;
beforeAll(async () => {
  host = await startHarbour();
  directory = join(host.imagesDir, 'backups');
  berth = await makeBerth(host, 'files', {
    layers: ['disk'],
    size: 32n << 20n,
    fill: 0n,
    rate: 5,
    spec: {
      program: 'agent',
      parameters: ['bf.records=vda1'],
      extraDevices: "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>",
    },
  });
  await until('the agent', async () => /state='connected'/.test(await berth.virsh('dumpxml')) || undefined);
  await writesOn();
});
afterAll(async () => {
  await host.stop();
});

/** The last record that the guest reported: it is on stable storage, and so are all before it. */
async function kept(): Promise<number> {
  const log = await readFile(berth.guest.serialLog, 'latin1');
  return Math.max(0, ...[...log.matchAll(/@kept (\d+)\r?\n/g)].map(([, number]) => Number(number)));
}

async function writesOn(): Promise<void> {
  const before = await kept();
  await until('records', async () => (await kept()) > before + 2 || undefined);
}

/** As the agent says. */
async function frozen(): Promise<boolean> {
  const answer = await berth.virsh('qemu-agent-command', '{"execute":"guest-fsfreeze-status"}');
  return (JSON.parse(answer) as { return: string }).return === 'frozen';
}

const backup = (options: readonly string[], halt?: Halt): Ferry =>
  berth.ferry(['backup', 'files', directory, '--guard', 'off', ...options], halt);

/** The newest point's image, and whether its manifest says that the guest was quiesced. */
async function newest(): Promise<{ readonly image: Image; readonly quiesced: boolean }> {
  const point = (await pointsIn(directory)).at(-1);
  if (point?.kind !== 'sealed') throw new Error('no point');
  const image = await imageAt(directory, point.name);
  if (!('path' in image)) throw new Error('images of a backup are files');
  return { image, quiesced: point.manifest.quiesced };
}

async function needsRecovery(image: Image): Promise<boolean> {
  const { stdout } = await withRawView(image, 'read', (view) => {
    return ['dumpe2fs', '-h', `${view}?offset=${partitionOffset}`];
  });
  assert.match(stdout, /features: .*has_journal/);
  return stdout.includes('needs_recovery');
}

/** The guest unmounted nothing, and still nothing is to be repaired or played back; no record is missing. */
async function expectAtRest(image: Image, atLeast: number): Promise<void> {
  assert.equal(await needsRecovery(image), false, image.path);
  // Exit status 0: nothing to correct.
  await withRawView(image, 'read', (view) => ['e2fsck', '-fn', `${view}?offset=${partitionOffset}`]);
  await expectRecords(image, atLeast);
}

/** What a kernel would do at the next mount. */
async function playedBack(image: Image): Promise<Image> {
  const path = join(host.imagesDir, 'played-back.raw');
  await run(['qemu-img', 'convert', '-f', image.format, '-O', 'raw', image.path, path]);
  // Once it has played the journal back e2fsck has forgotten an offset: it gets the file system alone. Exit status 1 is
  // that something was corrected, such as counters of free blocks.
  const script = `dd if="$1" of="$1.part" bs=1M skip=${partitionOffset >> 20n} status=none
    e2fsck -fy "$1.part" || [ $? -eq 1 ]
    dd if="$1.part" of="$1" bs=1M seek=${partitionOffset >> 20n} status=none conv=notrunc`;
  await run(['sh', '-euc', script, 'sh', path]);
  return { path, format: 'raw' };
}

async function expectRecords(image: Image, atLeast: number): Promise<void> {
  const records = (await readTextFile(image, 'records')).trim().split('\n').map(Number);
  assert.deepEqual(
    records,
    records.map((_, at) => at + 1),
  );
  assert.ok(records.length >= atLeast, `${image.path}: ${records.length} records, and ${atLeast} were kept`);
}

it('a full backup, an increment and an image hold a file system at rest, with all that was kept before', async () => {
  for (const options of [[], ['--incremental']]) {
    const before = await kept();
    await ends(backup([...options, '--quiesce', 'require']), 'done');
    assert.equal(await frozen(), false);
    await writesOn();
    const { image, quiesced } = await newest();
    assert.equal(quiesced, true);
    await expectAtRest(image, before);
  }
  const before = await kept();
  const path = join(host.imagesDir, 'image.qcow2');
  await ends(berth.image(path, ['--quiesce', 'require']), 'copied');
  await writesOn();
  await expectAtRest({ path, format: 'qcow2' }, before);
});

it('without the freeze it is one as after a power failure: the journal is to be played back', async () => {
  const before = await kept();
  await ends(backup(['--incremental', '--quiesce', 'off']), 'done');
  const { image, quiesced } = await newest();
  assert.equal(quiesced, false);
  assert.equal(await needsRecovery(image), true);
  await expectAtRest(await playedBack(image), before);
});

it('whoever froze the file systems dies: they stand still, and are thawed by whoever goes on', async () => {
  for (const effect of ['domain.fsFreeze', 'domain.backupBegin']) {
    await backup(['--incremental', '--quiesce', 'require'], { at: 'effect', name: effect }).diedAfter(effect);
    assert.equal(await frozen(), true, effect);
    const before = await kept();
    await ends(berth.resume(), 'done');
    assert.equal(await frozen(), false, effect);
    await writesOn();
    await expectRecords((await newest()).image, before);
  }
});

it('file systems that somebody else has frozen are left so: `require` goes back, `auto` says so', async () => {
  const why = /frozen before, .*virsh domfsthaw files/;
  const path = join(host.imagesDir, 'other.qcow2');
  await berth.virsh('domfsfreeze');
  const before = await kept();
  await goesBack(berth.image(path, ['--quiesce', 'require']), why);
  await refuses(backup(['--incremental', '--quiesce', 'require']), 'not-quiesced');
  assert.equal(await frozen(), true);
  const ferries = [
    { ferry: () => berth.image(path), outcome: 'copied' },
    { ferry: () => backup(['--incremental']), outcome: 'done' },
  ];
  for (const { ferry, outcome } of ferries) {
    const running = ferry();
    await ends(running, outcome);
    assert.match(await running.warning('not-quiesced'), why);
    assert.equal(await frozen(), true);
  }
  await expectAtRest({ path, format: 'qcow2' }, before);
  await expectAtRest((await newest()).image, before);
  await berth.virsh('domfsthaw');
  await writesOn();
  assert.ok(!(await berth.virsh('dumpxml')).includes('urn:blockferry'));
});
