// Backups of idle domains: what is in each point, what is refused, and what the domain is afterwards.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '@blockferry/qemu';
import {
  backUp,
  checkAll,
  type DiskSpec,
  footprint,
  type LibvirtHost,
  Mover,
  readTexts,
  removeIdle,
  run,
  startIdle,
  startLibvirtHost,
  topOf,
  writeAsGuest,
} from '@blockferry/testbed';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { foreseePrune, prune, type Refusal, type RestoreRequest, readPoints, restore } from '../index.ts';

let host: LibvirtHost;
let mover: Mover;
let tools: Host;
let directory: string;
const at = (name: string) => join(host.imagesDir, name);

beforeAll(async () => {
  host = await startLibvirtHost();
  mover = new Mover(host);
  if (mover.context.host === undefined) throw new Error('no tools');
  tools = mover.context.host;
});
afterAll(async () => {
  await mover.close();
  await host.stop();
});

// vda: base <- top; vdb: one image, in qcow2 or raw.
beforeEach(async () => {
  directory = at('backup');
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at('base'), '64M']);
  await run(['qemu-io', '-f', 'qcow2', '-c', 'write -P 7 20M 2M', at('base')]);
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-b', at('base'), '-F', 'qcow2', at('top')]);
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at('data'), '16M']);
  await run(['qemu-img', 'create', '-q', '-f', 'raw', at('raw'), '16M']);
});
afterEach(async () => {
  for (const name of ['vm', 'other']) await removeIdle(host, name);
  await run(['sh', '-c', 'rm -rf "$1"/* "$1"/.[!.]*', 'sh', host.imagesDir]);
});

const VDA: DiskSpec = { target: 'vda', path: '', format: 'qcow2' };
const vda = (): DiskSpec => ({ ...VDA, path: at('top') });
const vdb = (format: 'qcow2' | 'raw' = 'qcow2'): DiskSpec => {
  return { target: 'vdb', path: at(format === 'raw' ? 'raw' : 'data'), format };
};
const start = (disks: readonly DiskSpec[], as?: 'off') =>
  startIdle(host, { name: 'vm', disks, ...(as && { as }) });
const make = (more: Partial<Parameters<typeof backUp>[1]> = {}) =>
  backUp(mover.context, { domain: 'vm', directory, ...more });
const increment = () => make({ kind: 'incremental' });
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'not refused',
    ({ code }: Refusal) => code,
  );
const same = async (path: string, image: string, format = 'qcow2') =>
  (await run(['qemu-img', 'compare', '-U', '-f', format, '-F', format, path, at(image)])).stdout;
const restored = (request: Partial<RestoreRequest>) =>
  restore(
    mover.context,
    { directory, as: { kind: 'original' }, ...request },
    { signal: AbortSignal.timeout(60_000), report: () => {} },
  );
const checkpoints = async () => (await host.virsh('checkpoint-list', 'vm', '--name')).trim().split('\n');

test('all disks with their chains, then what changed of each; the domain is what it was, with one checkpoint', async () => {
  await start([vda(), vdb()]);
  const before = await readTexts(host, 'vm');
  await writeAsGuest(host, 'vm', 1);
  const full = await make();
  expect(full.outcome).toEqual({ kind: 'done' });
  expect((await readdir(join(directory, full.record.point))).toSorted()).toEqual(
    ...[['domain.xml', 'manifest.json', 'vda-1.qcow2', 'vda.qcow2', 'vdb.qcow2']],
  );
  for (const mib of [3, 5]) {
    await writeAsGuest(host, 'vm', mib);
    const { record, outcome, manifest } = await increment();
    expect(outcome).toEqual({ kind: 'done' });
    expect(await same((await topOf(tools, directory, record.point)).path, 'top')).toContain('identical');
    expect(await same((await topOf(tools, directory, record.point, 'vdb')).path, 'data')).toContain(
      'identical',
    );
    // One block of 64 KiB, and qcow2's own.
    expect(manifest?.files.find(({ path }) => path === 'vda.qcow2')?.size).toBeLessThan(600_000n);
    expect(await checkpoints()).toEqual([manifest?.checkpoint]);
  }
  expect((await checkAll(tools, directory)).flatMap(({ problems }) => problems)).toEqual([]);
  expect((await readTexts(host, 'vm')).persistent).toBe(before.persistent);
});

test('as one image a disk; of raw disks, whose increments are refused', async () => {
  await start([vda(), vdb('raw')]);
  const { manifest } = await make({ copying: { flatten: true, compressed: false, verify: true } });
  expect(manifest?.disks.map(({ images }) => images)).toEqual([
    [{ path: 'vda.qcow2', format: 'qcow2' }],
    [{ path: 'vdb.raw', format: 'raw' }],
  ]);
  expect(await same(join(directory, manifest?.point ?? '', 'vdb.raw'), 'raw', 'raw')).toContain('identical');
  expect(await checkpoints()).toEqual(['']);
  expect(await codeOf(increment())).toBe('no-checkpoint');
});

test('of a domain that is off, full or what changed, and of one that runs again after that', async () => {
  await start([vda()]);
  await make();
  await writeAsGuest(host, 'vm', 1);
  await host.virsh('destroy', '--graceful', 'vm');
  const shows = async ({ record, outcome }: Awaited<ReturnType<typeof make>>) => {
    expect(outcome.kind).toBe('done');
    expect(await same((await topOf(tools, directory, record.point)).path, 'top')).toContain('identical');
  };
  const changed = await increment();
  await shows(changed);
  expect(changed.manifest?.files.find(({ path }) => path === 'vda.qcow2')?.size).toBeLessThan(600_000n);
  await host.virsh('start', '--paused', 'vm');
  await writeAsGuest(host, 'vm', 3);
  // Counted from the same checkpoint again, for one that is off gets none.
  await shows(await increment());
  await writeAsGuest(host, 'vm', 5);
  await shows(await increment());
  await host.virsh('destroy', '--graceful', 'vm');
  const off = await make();
  await shows(off);
  expect(off.manifest?.running).toBe(false);
  expect(await codeOf(increment())).toBe('no-checkpoint');
});

test('what cannot be done is refused, and nothing is touched', async () => {
  await start([vda(), vdb()]);
  await startIdle(host, { name: 'other', disks: [{ ...VDA, path: at('raw'), format: 'raw' }] });
  const connection = await mover.context.link.connection();
  const untouched = async (code: string, work: () => Promise<unknown>) => {
    const look = () => footprint(connection, host.imagesDir);
    const before = await look();
    expect(await codeOf(work())).toBe(code);
    const after = await look();
    expect(after.domains).toEqual(before.domains);
    expect(withoutTimes(after.files)).toEqual(withoutTimes(before.files));
  };
  await untouched('no-such-point', () => increment());
  await untouched('no-backup-directory', () => make({ directory: at('raw') }));
  await untouched('no-such-directory', () => make({ directory: at('none/such') }));
  await untouched('no-such-disk', () => make({ disks: ['vdz'] }));
  await untouched('no-guest-agent', () => make({ quiesce: 'require' }));
  await make({ checkpoint: false });
  await untouched('no-checkpoint', () => increment());
  await untouched('other-domain', () => make({ domain: 'other' }));
  await make({ disks: ['vda'] });
  await untouched('disks-differ', () => make({ kind: 'incremental', disks: ['vdb'] }));
  await untouched('no-guest-agent', () => make({ kind: 'incremental', quiesce: 'require' }));
  // It would be in no increment, and nobody would notice; one that was left out of the full one is meant to be.
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at('added'), '16M']);
  await host.virsh('attach-disk', 'vm', at('added'), 'vdc', '--subdriver', 'qcow2', '--persistent');
  await untouched('disks-differ', () => increment());
  expect((await make({ kind: 'incremental', disks: ['vda'] })).outcome.kind).toBe('done');
  for (const name of await checkpoints()) await host.virsh('checkpoint-delete', 'vm', name);
  await untouched('checkpoint-gone', () => increment());
  await untouched('bad-name', () => restored({ as: { kind: 'new', name: 'a/b' } }));
  await untouched('no-such-point', () =>
    restored({ point: '2020-01-01T00-00-00Z-full', as: { kind: 'over' } }),
  );
  await untouched('domain-exists', () => restored({}));
  await untouched('domain-runs', () => restored({ as: { kind: 'over' } }));
  await untouched('name-taken', () => restored({ as: { kind: 'new', name: 'other' } }));
  // It would be started on the disks that it was saved on, whatever its definition says.
  await host.virsh('managedsave', 'vm');
  await untouched('managed-save', () => restored({ as: { kind: 'over' } }));
  await host.virsh('managedsave-remove', 'vm');
  // A revert to it would take the domain back to the images that it was restored over.
  await host.virsh('snapshot-create-as', 'vm', 'before');
  await untouched('has-snapshots', () => restored({ as: { kind: 'over' } }));
});

// Of directories only that they are there: whether storage takes writes is tried by a file without a name.
const withoutTimes = (files: readonly string[]) =>
  files.map((line) => line.replace(/^(d.*) changed \S+/, '$1'));

test('QEMU that was killed has lost its bitmaps: an increment is refused, a full backup works', async () => {
  await start([vda()]);
  await make();
  await host.killQemu('vm');
  await expect.poll(() => host.virsh('domstate', 'vm')).toContain('shut off');
  await host.virsh('start', '--paused', 'vm');
  expect(await codeOf(increment())).toBe('checkpoint-broken');
  const full = await make();
  expect(full.outcome.kind).toBe('done');
  expect(await checkpoints()).toEqual([full.manifest?.checkpoint]);
  await writeAsGuest(host, 'vm', 9);
  const { record } = await increment();
  expect(await same((await topOf(tools, directory, record.point)).path, 'top')).toContain('identical');
});

test('a checkpoint of somebody else stays, and what it recorded stays right', async () => {
  await start([vda()]);
  await host.virsh('checkpoint-create-as', 'vm', 'theirs');
  await make();
  await writeAsGuest(host, 'vm', 1);
  await increment();
  await writeAsGuest(host, 'vm', 3);
  await increment();
  expect((await checkpoints()).filter((name) => !name.startsWith('blockferry'))).toEqual(['theirs']);
  const xml = await host.virsh('checkpoint-dumpxml', 'vm', 'theirs', '--size', '--no-domain');
  expect(xml).toContain("size='131072'");
});

test('spoilt points are found, and not restored; prune keeps what is stood on', async () => {
  await start([vda()]);
  const full = await make();
  await writeAsGuest(host, 'vm', 1);
  const first = await increment();
  await writeAsGuest(host, 'vm', 3);
  const second = await increment();
  const other = await make();
  const { keep, remove } = await foreseePrune(tools, directory, { last: 2 });
  expect([keep.length, remove.length]).toEqual([4, 0]);
  const image = join(directory, first.record.point, 'vda.qcow2');
  await run(['sh', '-c', 'printf x | dd of="$1" bs=1 seek=327680 conv=notrunc status=none', 'sh', image]);
  const bad = (await checkAll(tools, directory)).filter(({ problems }) => problems.length > 0);
  expect(bad.map(({ point }) => point)).toEqual([first.record.point, second.record.point]);
  await host.virsh('destroy', 'vm');
  expect(await codeOf(restored({ point: second.record.point, as: { kind: 'over' } }))).toBe('point-broken');
  // One that cannot be read says nothing of the others, and what stands on it is not removed.
  const manifest = join(directory, full.record.point, 'manifest.json');
  await run(['sh', '-c', 'mv "$1" "$1.aside" && mkdir "$1"', 'sh', manifest]);
  expect((await readPoints(tools, directory)).map(({ kind }) => kind)).toEqual([
    ...['unreadable', 'sealed', 'sealed', 'sealed'],
  ]);
  expect((await foreseePrune(tools, directory, { last: 1 })).remove).toEqual([]);
  await run(['sh', '-c', 'rmdir "$1" && mv "$1.aside" "$1"', 'sh', manifest]);
  // Torn: without its manifest it is none.
  await run(['rm', manifest]);
  const sorted = await foreseePrune(tools, directory, { last: 9 });
  expect(sorted.keep.map(({ manifest }) => manifest.point)).toEqual([other.record.point]);
  // What somebody else has put there is not removed, nor anything that stands below it.
  for (const make of ['mkdir', 'touch']) {
    const theirs = join(directory, second.record.point, 'theirs');
    await run([make, theirs]);
    expect(await codeOf(prune(tools, directory, sorted, () => {}))).toBe('not-ours');
    expect(await readPoints(tools, directory)).toHaveLength(4);
    await run(['rm', '-d', theirs]);
  }
  await prune(tools, directory, sorted, () => {});
  expect((await readPoints(tools, directory)).map(({ name }) => name)).toEqual([other.record.point]);
});

test('restored as another domain it shares nothing with the first; over it, the images that it leaves are kept', async () => {
  await start([vda(), vdb()]);
  await writeAsGuest(host, 'vm', 1);
  await make();
  await writeAsGuest(host, 'vm', 3);
  const { record } = await increment();
  const asOther = await restored({ as: { kind: 'new', name: 'other' } });
  const texts = [await readTexts(host, 'vm'), await readTexts(host, 'other')].map(
    ({ persistent }) => persistent ?? '',
  );
  expect(texts[1]).not.toContain(/<uuid>.*<\/uuid>/.exec(texts[0] ?? '')?.[0]);
  expect(await same(asOther.plan.disks[0].path, 'top')).toContain('identical');
  await host.virsh('start', '--paused', 'other');
  await host.virsh('destroy', 'vm');
  const over = await restored({ point: record.point, as: { kind: 'over' } });
  expect(over.kept).toEqual([at('top'), at('data')]);
  expect(await same(over.plan.disks[0].path, 'top')).toContain('identical');
  expect(await checkpoints()).toEqual(['']);
  await host.virsh('start', '--paused', 'vm');
  expect(await codeOf(increment())).toBe('checkpoint-gone');
  await removeIdle(host, 'vm');
  expect((await restored({})).plan.uuid).toBe(over.uuid);
});
