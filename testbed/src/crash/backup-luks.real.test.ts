// Full backups of disks in LUKS, of a chain in qcow2 and of a raw image: nothing of them is ever in plain, they are opened
// by the secret of the disk, and what the guest was told is flushed is in them; also when blockferry is killed half-way.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Refusal, restore } from '@blockferry/engine';
import { afterAll, beforeAll, it } from 'vitest';
import { newestBlock, verifyAcknowledged } from '../guest/verify.ts';
import { defineSecret } from '../images/encrypted.ts';
import { backUp as backUpHere } from '../move/backups.ts';
import { Mover } from '../move/mover.ts';
import { expectOfInstant, type Instant, pointsIn } from './backed-up.ts';
import { ends } from './endings.ts';
import type { Halt } from './ferry.ts';
import {
  expectNothingPlain,
  headerOf,
  LuksBerth,
  locked,
  PASSPHRASE,
  type Reported,
  SECRET,
} from './luks-berth.ts';

let berth: LuksBerth;
let mover: Mover;
const at = (...names: readonly string[]) => berth.at(...names);
const backups = () => at('backups');
const ferry: LuksBerth['ferry'] = (...words) => berth.ferry(...words);

beforeAll(async () => {
  berth = await LuksBerth.start('restored');
  mover = new Mover(berth.host);
});
afterAll(async () => {
  await mover?.close();
  await berth?.stop();
});

const backUp = (halt?: Halt) => ferry(['backup', 'vm', backups(), '--guard', 'off'], halt);

async function refused(work: Promise<unknown>): Promise<Refusal> {
  const error = await work.then(
    () => undefined,
    (why: unknown) => why,
  );
  assert.ok(error instanceof Refusal, String(error));
  assert.equal(error.code, 'encrypted', error.message);
  return error;
}

/** The newest point is whole, of one instant, encrypted by the key of the disks; and the domain is what it was. */
async function expectLocked(before: Reported, what: string): Promise<string> {
  const after = await berth.acknowledged();
  const point = (await pointsIn(backups())).at(-1);
  assert.ok(point?.kind === 'sealed', what);
  const { disks, checkpoint } = point.manifest;
  assert.equal(checkpoint, undefined, what);
  const stored = (path: string) => join(backups(), point.name, path);
  assert.deepEqual(
    disks.map(({ images }) => images),
    [
      ['vda.qcow2', 'vda-1.qcow2'].map((path) => ({ path, format: 'qcow2', secret: SECRET })),
      [{ path: 'vdb.raw', format: 'raw', secret: SECRET }],
    ],
    what,
  );
  await expectNothingPlain(stored(''));
  const copies = ['vda.qcow2', 'vda-1.qcow2', 'vdb.raw'].map(stored);
  const sources = ['top', 'base', 'raw'].map((name) => at('disks', name));
  assert.deepEqual(await Promise.all(copies.map(headerOf)), await Promise.all(sources.map(headerOf)), what);
  const instant = (disk: 'vda' | 'vdb'): Instant => ({ before: before[disk], after: after[disk] });
  const [top = '', base = '', raw = ''] = copies;
  await expectOfInstant(locked([top, base], 'qcow2'), instant('vda'), what);
  await expectOfInstant(locked([raw], 'raw'), instant('vdb'), what);
  await ends(ferry(['backup', 'verify', backups()]), 'done');
  return point.name;
}

it('while the guest writes: every image as it is, no increment of the raw one can follow, and nothing that is compressed', async () => {
  const before = await berth.acknowledged();
  const made = backUp();
  await ends(made, 'done');
  for (const code of ['luks-pause', 'no-checkpoint']) await made.warning(code);
  await expectLocked(before, 'a full backup');
  await berth.expectUntouched();
  const ask = { domain: 'vm', directory: backups() };
  const compressed = { flatten: true, compressed: true, verify: true };
  assert.match(
    (await refused(backUpHere(mover.context, { ...ask, copying: compressed }))).message,
    /in plain/,
  );
  assert.equal((await pointsIn(backups())).length, 1);
  await berth.guest.waitForWrites(20);
}, 300_000);

it('killed when the layers are copied, and again when the guest is back on its images: resume makes it, of the instant of then', async () => {
  const before = await berth.acknowledged();
  await backUp({ at: 'step-done', name: 'copy-layers' }).diedAfter('copy-layers');
  await ferry(['resume', 'vm'], { at: 'step-done', name: 'copy' }).diedAfter('copy');
  await ends(ferry(['resume', 'vm']), 'done');
  await expectLocked(before, 'killed twice');
  await berth.expectUntouched();
}, 300_000);

it('restored only where libvirt has the secret, and the right one; then in LUKS again, as another domain and over it', async () => {
  const said = await berth.acknowledged();
  await berth.guest.waitForWrites(20);
  await berth.guest.stop();
  await ends(backUp(), 'done');
  const after = await berth.acknowledged();
  await expectNothingPlain(backups());
  const restoreHere = () =>
    restore(
      mover.context,
      { directory: backups(), as: { kind: 'new', name: 'other' }, to: at('restored') },
      { signal: AbortSignal.timeout(90_000), report: () => {} },
    );
  await berth.host.virsh('secret-undefine', SECRET);
  const missing = await refused(restoreHere());
  assert.match(missing.message, new RegExp(SECRET));
  assert.match(missing.hint ?? '', /secret-define/);
  await defineSecret(berth.host, SECRET, 'another');
  assert.match((await refused(restoreHere())).message, /does not open/);
  assert.deepEqual(await readdir(at('restored')), []);
  await defineSecret(berth.host, SECRET, PASSPHRASE);
  await restoreHere();
  await expectNothingPlain(at('restored'));
  const places = [
    ['vda', 'qcow2'],
    ['vdb', 'raw'],
  ] as const;
  for (const [disk, format] of places) {
    const image = locked([at('restored', `other-${disk}.${format}`)], format);
    const { checked, lost } = await verifyAcknowledged(image, after[disk]);
    assert.ok(checked > 0);
    assert.deepEqual(lost, []);
    assert.ok((await newestBlock(image, after[disk].plan)) >= said[disk].highestSeq);
  }
  await berth.host.virsh('start', '--paused', 'other');
  await berth.host.virsh('destroy', 'other');
  await ends(ferry(['restore', backups(), '--over']), 'done');
  await expectNothingPlain(at('disks'));
  await berth.guest.start();
  await berth.guest.waitForWrites(20);
}, 300_000);
