// Images and increments of disks in LUKS: in LUKS by the secret of the disk, of one instant, with all that the guest was told
// is flushed; also when blockferry is killed half-way. Nothing of them is ever in plain on the storage.
import assert from 'node:assert/strict';
import { readdir, rm } from 'node:fs/promises';
import { DomainXml } from '@blockferry/libvirt';
import { afterAll, beforeAll, it } from 'vitest';
import { newestBlock, verifyAcknowledged } from '../guest/verify.ts';
import { defineSecret } from '../images/encrypted.ts';
import { run } from '../process/run.ts';
import { expectOfInstant, type Instant, pointsIn } from './backed-up.ts';
import { ends } from './endings.ts';
import type { Ferry, Halts } from './ferry.ts';
import { type Disk, headerOf, LuksBerth, locked, lockedAt, PASSPHRASE, SECRET } from './luks-berth.ts';

/** What differs little is tried by BLOCKFERRY_SWEEP=all: making an image in LUKS takes 4 s of CPU time, whatever its keys. */
const ALL = process.env.BLOCKFERRY_SWEEP === 'all';

let berth: LuksBerth;
beforeAll(async () => {
  berth = await LuksBerth.start('images', 'moved', 'restored');
});
afterAll(async () => {
  await berth?.stop();
});

const said = async (disk: Disk) => (await berth.acknowledged())[disk];

function image(path: string, disk: Disk, options: readonly string[] = [], halt?: Halts): Ferry {
  return berth.ferry(['image', 'vm', path, '--disk', disk, '--guard', 'off', ...options], halt);
}

/** It stands alone, by a key of its own that the secret of the disk opens; plan and result say by which. */
async function expectImage(ferry: Ferry, path: string, format: 'qcow2' | 'raw'): Promise<void> {
  const result: object = await ends(ferry, 'copied');
  const { images } = result as { images: readonly { secret?: string; format: string }[] };
  assert.deepEqual(
    images.map((each) => [each.secret, each.format]),
    [[SECRET, format]],
  );
  const sources = await Promise.all(['top', 'base', 'raw'].map((name) => headerOf(berth.at('disks', name))));
  assert.ok(!sources.includes(await headerOf(path)));
  const { stdout } = await run(['qemu-img', 'info', '--output=json', path]);
  assert.doesNotMatch(stdout, /backing-filename/);
}

async function expectNoTrace(): Promise<void> {
  await berth.expectNothingPlain();
  await berth.expectUntouched();
}

it('refused, with nothing touched, where an image would be plain, or could not be opened', async () => {
  const refusal = async (options: readonly string[]) => {
    const { error } = await ends(image(berth.at('images', 'no'), 'vda', options), 'refused', 3);
    assert.equal(error?.code, 'encrypted');
    return `${error.message} ${error.hint}`;
  };
  assert.match(await refusal(['--compress']), /compressed clusters in plain/);
  assert.match(await refusal(['--format', 'vmdk']), /vmdk.*qcow2/);
  await defineSecret(berth.host, SECRET, 'another');
  assert.match(await refusal([]), /does not open/);
  await berth.host.virsh('secret-undefine', SECRET);
  await defineSecret(berth.host, SECRET, PASSPHRASE, 'yes');
  assert.match(await refusal([]), /does not tell its secret.*private='no'/);
  await berth.host.virsh('secret-undefine', SECRET);
  await defineSecret(berth.host, SECRET, PASSPHRASE);
  assert.deepEqual(await readdir(berth.at('images')), []);
  await expectNoTrace();
}, 120_000);

it('an image of a guest that writes, killed while it is copied: the same command makes it, of the instant of then', async () => {
  const path = berth.at('images', 'web.qcow2');
  const before = await said('vda');
  const first = image(path, 'vda', ['--bandwidth', '8M']);
  const plan: object = await first.find('plan', (line) => (line.type === 'plan' ? line : undefined));
  assert.equal((plan as { copies: readonly { secret?: string }[] }).copies[0]?.secret, SECRET);
  await first.copying();
  await first.kill();
  await berth.expectNothingPlain();
  await expectImage(image(path, 'vda'), path, 'qcow2');
  await expectOfInstant(
    locked([path], 'qcow2'),
    { before, after: await said('vda') },
    'killed while copying',
  );
  await expectNoTrace();
  if (!ALL) return;
  await rm(path);
  await image(path, 'vda', [], { at: 'step-done', name: 'claim-files' }).diedAfter('claim-files');
  await ends(berth.ferry(['abort', 'vm']), 'back');
  assert.deepEqual(await readdir(berth.at('images')), []);
  await expectNoTrace();
}, 240_000);

const backups = () => berth.at('backups');
const instants: Instant[] = [];

async function backUp(options: readonly string[], died?: { readonly after: string }): Promise<void> {
  const before = await said('vda');
  const words = ['backup', 'vm', backups(), '--guard', 'off', ...options];
  if (died !== undefined) {
    await berth.ferry(words, { at: 'effect', name: died.after }).diedAfter(died.after);
    await berth.expectNothingPlain();
  }
  await ends(berth.ferry(died === undefined ? words : ['resume', 'vm']), 'done');
  instants.push({ before, after: await said('vda') });
}

it('increments of a guest that writes, one of them killed, and of a domain that is off: each point is of its instant', async () => {
  await backUp(['vda', ...(ALL ? ['--flatten'] : [])]);
  await mustFitBelow();
  if (ALL) await backUp(['--incremental']);
  await berth.guest.waitForWrites(20);
  await backUp(['--incremental'], { after: 'domain.backupBegin' });
  if (ALL) await moveThere();
  await berth.guest.waitForWrites(20);
  await berth.guest.stop();
  await backUp(['--incremental']);
  await ends(berth.ferry(['backup', 'verify', backups()]), 'done');
  const points = await pointsIn(backups());
  assert.equal(points.length, instants.length);
  for (const [at, { name }] of points.entries()) {
    const instant = instants[at];
    if (instant !== undefined) await expectOfInstant(await lockedAt(backups(), name, 'vda'), instant, name);
  }
  await berth.expectNothingPlain();
}, 300_000);

/** Two points that open by different passphrases would be restored by nobody. */
async function mustFitBelow(): Promise<void> {
  await defineSecret(berth.host, SECRET, 'another');
  const { error } = await ends(berth.ferry(['backup', 'vm', backups(), '--incremental']), 'refused', 3);
  assert.equal(error?.code, 'encrypted');
  assert.match(error.message, /does not open/);
  await defineSecret(berth.host, SECRET, PASSPHRASE);
}

/** What the bitmaps have recorded comes along. */
async function moveThere(): Promise<void> {
  await ends(berth.ferry(['move', 'vm', 'vda', `${berth.at('moved')}/`, '--guard', 'off']), 'moved');
  await berth.guest.waitForWrites(20);
  await backUp(['--incremental']);
}

it('restored from an increment, and from each: in LUKS by the same secret; and what is not needed is pruned', async () => {
  const points = (await pointsIn(backups())).map(({ name }) => name);
  for (const [at, point] of points.entries()) {
    if (!ALL && at !== points.length - 1) continue;
    const name = `again-${at}`;
    const where = ['--name', name, '--to', berth.at('restored')];
    await ends(berth.ferry(['restore', backups(), '--point', point, ...where]), 'done');
    const disk = DomainXml.parse(await berth.host.virsh('dumpxml', name)).disk('vda');
    assert.ok(disk?.source?.kind === 'file' && disk.source.encryption?.includes(SECRET));
    const instant = instants[at];
    assert.ok(instant !== undefined);
    await expectOfInstant(locked([disk.source.path], 'qcow2'), instant, point);
    await berth.host.virsh('start', '--paused', name);
    await berth.host.virsh('destroy', name);
  }
  await berth.expectNothingPlain();
  await ends(berth.ferry(['backup', 'prune', backups(), '--keep-last', '1']), 'done');
  assert.equal((await pointsIn(backups())).length, points.length);
}, 300_000);

it('an image of a raw disk of a domain that is off: raw in LUKS, and the domain starts as before', async () => {
  const path = berth.at('images', 'data.raw');
  const before = await said('vdb');
  const ferry = image(path, 'vdb');
  await ferry.warning('fully-allocated');
  await expectImage(ferry, path, 'raw');
  const { checked, lost } = await verifyAcknowledged(locked([path], 'raw'), before);
  assert.ok(checked > 0);
  assert.deepEqual(lost, []);
  assert.ok((await newestBlock(locked([path], 'raw'), before.plan)) >= before.highestSeq);
  await berth.expectNothingPlain();
  await berth.guest.start();
  await berth.guest.waitForWrites(20);
}, 120_000);
