// The same verb typed twice, or resumed while it is carried out: one goes on, the other is refused before it touches anything.
// The first stands still in the middle of its work until the others have been refused.
import assert from 'node:assert/strict';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, it } from 'vitest';
import type { LibvirtHost } from '../libvirt-host/host.ts';
import { backupDirectory } from './backed-up.ts';
import { type Berth, makeBerth, startHarbour } from './berth.ts';
import { ends, refuses } from './endings.ts';
import type { Ferry } from './ferry.ts';

let host: LibvirtHost;
let berth: Berth;
beforeAll(async () => {
  host = await startHarbour();
  berth = await makeBerth(host, 'once');
});
afterAll(async () => {
  await host.stop();
});

const files = async () => (await readdir(host.imagesDir, { recursive: true })).sort();

/** @param others with the code that each is refused with */
async function whileStopped(
  argv: readonly string[],
  step: string,
  others: readonly (readonly [readonly string[], string])[],
): Promise<Ferry> {
  const first = berth.ferry(argv, { at: 'step-done', name: step, signal: 'SIGSTOP' });
  await first.halted(step);
  const before = await files();
  await Promise.all(
    others.map(async ([argv, code]) => {
      await refuses(berth.ferry(argv), code);
    }),
  );
  const status = berth.ferry(['status', berth.name]);
  await ends(status, 'done');
  for (const line of status.lines) {
    if (line.type === 'move' || line.type === 'backup') assert.equal(line.atWork, true);
  }
  assert.deepEqual(await files(), before);
  first.cont();
  return first;
}

it('an image', async () => {
  const path = join(host.imagesDir, 'image.qcow2');
  const image = ['image', berth.name, path, '--guard', 'off'];
  const first = await whileStopped(image, 'freeze', [
    [image, 'at-work'],
    [['resume', berth.name], 'at-work'],
  ]);
  await ends(first, 'copied');
  await rm(path);
});

it('a backup, then its restore, which is no leftover meanwhile', async () => {
  const directory = backupDirectory(berth, 'backups');
  const backup = ['backup', berth.name, directory, '--guard', 'off'];
  const first = await whileStopped(backup, 'freeze', [
    [backup, 'backup-at-work'],
    [['resume', berth.name], 'backup-at-work'],
  ]);
  await ends(first, 'done');
  const restore = ['restore', directory, '--name', 'other', '--to', host.imagesDir];
  const restored = await whileStopped(restore, 'fill', [
    [restore, 'at-work'],
    [['cleanup', host.imagesDir, '--yes'], 'at-work'],
  ]);
  await ends(restored, 'done');
  await host.virsh('undefine', 'other');
});

it('a flatten', async () => {
  const flatten = ['flatten', berth.name, 'vda', '--yes'];
  const first = await whileStopped(flatten, 'record', [
    [flatten, 'at-work'],
    [['resume', berth.name], 'at-work'],
  ]);
  await ends(first, 'flattened');
  await berth.guest.waitForWrites(1);
});
