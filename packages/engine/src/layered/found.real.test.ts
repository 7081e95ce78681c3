// What chains have that were not made for a test: headers of old tools, names that are links, names that are long; labels; growth.
import { chmod, copyFile, mkdir, readdir, rename, rm, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainXml } from '@blockferry/libvirt';
import {
  type Ask,
  type LibvirtHost,
  Mover,
  removeIdle,
  run,
  startIdle,
  startLibvirtHost,
} from '@blockferry/testbed';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { StepName } from '../model/decision.ts';
import type { MoveRecord } from '../model/record.ts';
import { runMove } from '../run/run-move.ts';

let host: LibvirtHost;
let mover: Mover;
const at = (name: string) => join(host.imagesDir, name);

beforeAll(async () => {
  host = await startLibvirtHost();
  mover = new Mover(host);
});
afterAll(async () => {
  await mover?.close();
  await host?.stop();
});

beforeEach(async () => {
  await mkdir(at('new'));
  await create('base.qcow2');
  await run(['qemu-io', '-f', 'qcow2', '-c', 'write -P 7 1M 64k', at('base.qcow2')]);
  await create('top.qcow2', 'base.qcow2');
});
afterEach(async () => {
  await removeIdle(host, 'vm');
  for (const name of await readdir(host.imagesDir)) await rm(at(name), { recursive: true });
});

async function create(name: string, base?: string): Promise<void> {
  const backing = base === undefined ? [] : ['-b', base, '-F', 'qcow2'];
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', ...backing, at(name), '16M']);
}

/** Disks vda, vdb, … on these images. */
const domainOn = (...images: readonly string[]) => {
  const disks = images.map((name, at_) => {
    return { target: `vd${String.fromCharCode(97 + at_)}`, path: at(name), format: 'qcow2' as const };
  });
  return startIdle(host, { name: 'vm', disks });
};

const ask = (more: Partial<Ask>): Ask => ({
  domain: 'vm',
  disk: 'vda',
  scope: 'chain',
  strategy: 'layered',
  destination: `${at('new')}/`,
  ...more,
});

/** As qemu-img wrote them before it insisted: the extension with the format is one that nobody knows. */
async function forgetBackingFormat(name: string): Promise<void> {
  const script = `at=$(grep -obUaP "\\xe2\\x79\\x2a\\xca" "$1" | head -n1 | cut -d: -f1)
    printf '\\x11\\x22\\x33\\x44' | dd of="$1" bs=1 seek="$at" conv=notrunc status=none`;
  await run(['bash', '-c', script, 'bash', at(name)]);
}

const reads7 = (name: string) =>
  run(['qemu-io', '-r', '-U', '-f', 'qcow2', '-c', 'read -P 7 1M 64k', at(name)]);

test('a header that does not say the format of its backing file: the definition does', async () => {
  await forgetBackingFormat('top.qcow2');
  await domainOn('top.qcow2');
  // Back, without QEMU: nothing but the record has it by then.
  const hold = ask({ scope: 'flatten', destination: at('flat.qcow2'), hold: true });
  expect((await mover.move(hold)).ending.kind).toBe('ready');
  await host.virsh('destroy', 'vm');
  expect((await mover.change('vm', { goal: 'abort' })).ending.kind).toBe('back');
  await host.virsh('start', '--paused', 'vm');
  const { hold: _, ...forth } = hold;
  expect((await mover.move(forth)).ending.kind).toBe('moved');
  await reads7('flat.qcow2');
});

test('a shallow move too, over a chain that is shared, and with the domain off', async () => {
  await create('upper.qcow2', 'top.qcow2');
  await forgetBackingFormat('top.qcow2');
  await domainOn('upper.qcow2').catch(() => undefined);
  // libvirt takes no format by itself for an image that has a backing file: the definition has to name the chain.
  await removeIdle(host, 'vm');
  const image = (name: string, below: string) =>
    `<backingStore type='file'><format type='qcow2'/><source file='${at(name)}'/>${below}</backingStore>`;
  const told = image('top.qcow2', image('base.qcow2', '<backingStore/>'));
  const disk = { target: 'vda', path: at('upper.qcow2'), format: 'qcow2', extraXml: told } as const;
  await startIdle(host, { name: 'vm', disks: [disk] });
  expect((await mover.move(ask({ scope: 'shallow', hold: true }))).ending.kind).toBe('ready');
  await host.virsh('destroy', 'vm');
  expect((await mover.change('vm', { goal: 'abort' })).ending.kind).toBe('back');
});

test('--delete-source: what a name leads to is not left behind without a name', async () => {
  await mkdir(at('far'));
  await copyFile(at('base.qcow2'), at('far/base.qcow2'));
  await rm(at('base.qcow2'));
  await symlink('far/base.qcow2', at('base.qcow2'));
  await domainOn('top.qcow2');
  const moved = await mover.move(ask({ options: { deleteSource: true } }));
  expect(moved.warnings).toMatchObject([{ code: 'source-not-a-file' }]);
  expect(await readdir(host.imagesDir)).toEqual(expect.arrayContaining(['base.qcow2', 'far']));
  expect(await readdir(host.imagesDir)).not.toContain('top.qcow2');
});

test('names that leave no room for those of journals, or of rounds, are refused before', async () => {
  const long = 'n'.repeat(239);
  await create(long);
  await create('over.qcow2', long);
  await domainOn('over.qcow2');
  const code = 'bad-destination';
  expect(await mover.refusal(ask({}))).toMatchObject({ code, message: expect.stringContaining(long) });
  const flat = { scope: 'flatten' } as const;
  expect(await mover.refusal(ask({ ...flat, destination: at('n'.repeat(219)) }))).toMatchObject({ code });
  expect((await mover.plan(ask({ ...flat, destination: at('n'.repeat(218)) }))).move.strategy).toBe(
    'layered',
  );
});

test.each(['layered', 'mirror'] as const)(
  'labels of its own come along, live and at the next boot: %s',
  async (strategy) => {
    const seclabel = "<seclabel model='dac' relabel='no'/>";
    for (const name of ['base.qcow2', 'top.qcow2']) await chmod(at(name), 0o666);
    const source = `<source file='${at('top.qcow2')}'>${seclabel}</source>`;
    const disk = `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>${source}<target dev='vda' bus='virtio'/></disk>`;
    await startIdle(host, { name: 'vm', disks: [disk] });
    const labels = async (...which: readonly string[]) => {
      const { source, chain = [] } =
        DomainXml.parse(await host.virsh('dumpxml', 'vm', ...which)).disk('vda') ?? {};
      return [source, ...chain.map((each) => each.source)].map((each) =>
        each === undefined || each.kind === 'other' ? undefined : each.seclabel,
      );
    };
    const before = await labels();
    const { ending, warnings } = await mover.move(
      ask({ strategy, scope: strategy === 'mirror' ? 'shallow' : 'chain' }),
    );
    expect(ending.kind).toBe('moved');
    expect(warnings.map(({ code }) => code)).not.toContain('label-lost');
    expect(await labels()).toEqual(before);
    expect((await labels('--inactive'))[0]).toBe(seclabel);
    // libvirt gave it to nobody: it is whose the image was.
    expect(await stat(at('new/top.qcow2'))).toMatchObject({ uid: 0, mode: 0o100666 });
    await host.virsh('destroy', 'vm');
    await host.virsh('start', '--paused', 'vm');
  },
);

/** As if blockferry died after this step. */
async function stopAfter(last: StepName): Promise<MoveRecord> {
  const stop = new AbortController();
  const { move } = await mover.plan(ask({}));
  const { ending, move: record } = await runMove(mover.context, move, {
    signal: stop.signal,
    report: () => {},
    afterStep: (step) => step === last && stop.abort(),
  });
  expect(ending.kind).toBe('stopped');
  return record;
}

const write = (name: string, what: string) =>
  run(['qemu-io', '-f', 'qcow2', '-c', `write ${what}`, name.startsWith('/') ? name : at(name)]);
const reads = (name: string, what: string) =>
  run(['qemu-io', '-r', '-U', '-f', 'qcow2', '-c', `read ${what}`, at(name)]);

/** Everything died right after the snapshot: the guest wrote to its overlay, and libvirt does not know of it. */
async function dieFrozen(): Promise<{ readonly move: MoveRecord; readonly overlay: string }> {
  const move = await stopAfter('claim-files');
  await host.virsh('destroy', 'vm');
  const source = move.layered?.overlay.source;
  if (source?.kind !== 'file') throw new Error('an overlay is a file');
  await write(source.path, '-P 9 2M 64k');
  return { move, overlay: source.path };
}

test('a guest that was on its overlay for an instant, unseen, loses nothing, whatever the times of the images', async () => {
  await domainOn('top.qcow2');
  const { move } = await dieFrozen();
  expect((await mover.run(move)).ending.kind).toBe('moved');
  await reads('new/top.qcow2', '-P 9 2M 64k');
  await host.virsh('start', '--paused', 'vm');
  await rm(at('top.qcow2'));
  await create('top.qcow2', 'base.qcow2');
  await removeIdle(host, 'vm');
  await rm(at('new/top.qcow2'));
  await rm(at('new/base.qcow2'));
  await domainOn('top.qcow2');
  const { overlay } = await dieFrozen();
  await run(['touch', '-r', overlay, at('top.qcow2')]);
  expect((await mover.change('vm', { goal: 'abort' })).ending.kind).toBe('back');
  await reads('top.qcow2', '-P 9 2M 64k');
});

test('… and was started without it since: a person is asked, and nothing is written or removed', async () => {
  await domainOn('top.qcow2');
  const { move, overlay } = await dieFrozen();
  await write('top.qcow2', '-P 5 3M 64k');
  const before = [await stat(overlay), await stat(at('top.qcow2'))].map(({ ino, mtimeMs }) => [ino, mtimeMs]);
  const asked = { kind: 'ask', question: 'both-written' };
  expect((await mover.run(move)).ending).toEqual(asked);
  await host.virsh('start', '--paused', 'vm');
  expect((await mover.run(move)).ending).toEqual(asked);
  expect((await mover.change('vm', { goal: 'abort' })).ending).toEqual(asked);
  const after = [await stat(overlay), await stat(at('top.qcow2'))].map(({ ino, mtimeMs }) => [ino, mtimeMs]);
  expect(after).toEqual(before);
  await rename(overlay, at('kept'));
  expect((await mover.change('vm', { goal: 'abort' })).ending.kind).toBe('back');
  await reads('top.qcow2', '-P 5 3M 64k');
});

test('a disk that grows while it is copied stays as large through a further round, with what was written there', async () => {
  await domainOn('top.qcow2');
  const move = await stopAfter('copy-layers');
  await host.virsh('blockresize', 'vm', 'vda', '64M');
  const device = '/machine/peripheral/virtio-disk0/virtio-backend';
  for (const command of ['write -P 5 20M 24M', 'flush']) {
    await host.virsh('qemu-monitor-command', '--hmp', 'vm', `qemu-io -d ${device} "${command}"`);
  }
  const moved = await mover.run(move);
  expect([moved.ending.kind, moved.steps.includes('record-round')]).toEqual(['moved', true]);
  expect(await host.virsh('domblkinfo', 'vm', 'vda')).toMatch(/Capacity: +67108864\n/);
  await run(['qemu-io', '-r', '-U', '-f', 'qcow2', '-c', 'read -P 5 20M 24M', at('new/top.qcow2')]);
});
