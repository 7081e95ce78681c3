// What must be true of a directory of backups and of its domain, whatever died before.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chainOf, imagesOf, type Point, readPoints } from '@blockferry/engine';
import { localHost } from '@blockferry/qemu';
import type { Acknowledged } from '../guest/report.ts';
import { newestBlock, type VerifiedImage, verifyAcknowledged } from '../guest/verify.ts';
import { checkAll } from '../move/backups.ts';
import type { Berth } from './berth.ts';

/** What the guest had reported when a backup was begun, and when it had ended. */
export type Instant = { readonly before: Acknowledged; readonly after: Acknowledged };

/** The block that was being written, and those that were flushed but not reported yet. */
const UNREPORTED = 64;

export async function pointsIn(directory: string): Promise<readonly Point[]> {
  const tools = localHost();
  try {
    return await readPoints(tools, directory);
  } finally {
    await tools.close();
  }
}

/** The disk as a point has it, over all the points that it stands on. */
export async function imageAt(
  directory: string,
  point: string,
): Promise<Extract<VerifiedImage, { readonly path: string }>> {
  const found = chainOf(await pointsIn(directory), point);
  if (found.kind !== 'whole') throw new Error(`${point}: ${found.why}`);
  const [{ location, format }] = imagesOf(directory, found.chain, 'vda');
  if (location.kind !== 'file') throw new Error('images of a backup are files');
  return { path: location.path, format: format === 'raw' ? 'raw' : 'qcow2' };
}

/** It holds all that was flushed before it was begun, and nothing from after it had ended. */
export async function expectOfInstant(
  image: VerifiedImage,
  { before, after }: Instant,
  what: string,
): Promise<void> {
  const { checked, lost } = await verifyAcknowledged(image, before);
  assert.ok(checked > 0, what);
  assert.deepEqual(lost.slice(0, 3), [], `${what}: ${lost.length} of ${checked} lost`);
  const newest = await newestBlock(image, after.plan);
  assert.ok(
    newest <= after.highestSeq + UNREPORTED,
    `${what}: ${newest}, and the last was ${after.highestSeq}`,
  );
}

/**
 * Every point is good; nothing else is in the directory; no record is left; of the checkpoints of ours no more than one;
 * the guest runs on the image that it was on.
 */
export async function expectBackups(
  berth: Berth,
  directory: string,
  what: string,
): Promise<readonly string[]> {
  const tools = localHost();
  try {
    const checked = await checkAll(tools, directory);
    assert.deepEqual(
      checked.filter(({ problems }) => problems.length > 0),
      [],
      what,
    );
    const points = checked.map(({ point }) => point);
    const others = (await readdir(directory)).filter((name) => !points.includes(name));
    assert.deepEqual(others, ['.blockferry-lock'], what);
    await expectOneCheckpoint(berth, directory, what);
    await expectUntouched(berth, what);
    return points;
  } finally {
    await tools.close();
  }
}

async function expectOneCheckpoint(berth: Berth, directory: string, what: string): Promise<void> {
  const newest = (await pointsIn(directory)).findLast(({ kind }) => kind === 'sealed');
  const set = newest?.kind === 'sealed' ? newest.manifest.set : 'none';
  const names = (await berth.virsh('checkpoint-list', '--name')).split('\n');
  const ofSet = names.filter((name) => name.startsWith(`blockferry-${set}-`));
  assert.ok(ofSet.length <= 1, `${what}: ${ofSet.join()}`);
}

async function expectUntouched(berth: Berth, what: string): Promise<void> {
  for (const flags of [[], ['--inactive']]) {
    const definition = await berth.virsh('dumpxml', ...flags);
    assert.ok(!definition.includes('urn:blockferry'), `${what}: a record is left`);
    assert.ok(definition.includes(`'${berth.disk}'`), `${what}: the guest is on its image`);
  }
  const files = (await readdir(berth.directory)).filter((name) => /overlay|carrier|blockferry/.test(name));
  assert.deepEqual(files, [], `${what}: nothing is left beside its images`);
}

/** A directory in the berth's for backups, which is not there yet. */
export function backupDirectory(berth: Berth, name: string): string {
  return join(berth.host.imagesDir, `${berth.name}-${name}`);
}
