// Copies of a disk and of several at one instant: what is made, and that the domain is afterwards what it was before.
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainXml } from '@blockferry/libvirt';
import { type Host, HostError } from '@blockferry/qemu';
import {
  type LibvirtHost,
  Mover,
  readTexts,
  removeIdle,
  run,
  startIdle,
  startLibvirtHost,
  writeAsGuest,
} from '@blockferry/testbed';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  type CopiesRequest,
  copiedDisk,
  findMoves,
  type GroupEnded,
  type MoveRecord,
  preflightCopies,
  type Refusal,
  runGroup,
  runMove,
} from '../index.ts';

let host: LibvirtHost;
let mover: Mover;
const at = (name: string) => join(host.imagesDir, name);

beforeAll(async () => {
  host = await startLibvirtHost();
  mover = new Mover(host);
});
afterAll(async () => {
  await mover.close();
  await host.stop();
});

// vda: base <- top; vdb: one raw image.
beforeEach(async () => {
  await mkdir(at('to'));
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at('base'), '64M']);
  await run(['qemu-io', '-f', 'qcow2', '-c', 'write -P 7 1M 4M', at('base')]);
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', '-b', at('base'), '-F', 'qcow2', at('top')]);
  await run(['qemu-img', 'create', '-q', '-f', 'raw', at('data'), '16M']);
});
afterEach(async () => {
  await removeIdle(host, 'vm');
  await run(['sh', '-c', 'rm -rf "$1"/*', 'sh', host.imagesDir]);
});

const DISKS = (as?: 'off' | 'transient') => ({
  name: 'vm',
  disks: [
    { target: 'vda', path: at('top'), format: 'qcow2' },
    { target: 'vdb', path: at('data'), format: 'raw' },
  ] as const,
  ...(as && { as }),
});

type Asked = Pick<CopiesRequest, 'disks'> & Partial<CopiesRequest>;

const plan = (asked: Asked) =>
  preflightCopies(mover.context, { domain: 'vm', scope: 'chain', verify: true, quiesce: 'auto', ...asked });

const options = () => ({ signal: AbortSignal.timeout(60_000), report: () => {} });

async function copy(asked: Asked): Promise<GroupEnded> {
  const { disks } = await plan(asked);
  return runGroup(
    mover.context,
    disks.map(({ move }) => move),
    options(),
  );
}

const made = (move: MoveRecord) => copiedDisk(mover.context, move);
const files = async () => (await readdir(host.imagesDir, { recursive: true })).toSorted();
const reads = (path: string, format: string, pattern: number, offset: number) =>
  run(['qemu-io', '-r', '-f', format, '-c', `read -P ${pattern} ${offset}M 64k`, path]);

test('all disks at one instant, byte for byte: the chains are there, and the domain is what it was', async () => {
  await startIdle(host, DISKS());
  const before = await readTexts(host, 'vm');
  await writeAsGuest(host, 'vm', 8);
  const ended = await copy({ disks: { allTo: at('to') } });
  expect(ended.disks.map(({ ending }) => ending.kind)).toEqual(['copied', 'copied']);
  expect(await files()).toEqual(['base', 'data', 'to', 'to/base', 'to/data', 'to/top', 'top']);
  const after = await readTexts(host, 'vm');
  expect(after.persistent).toBe(before.persistent);
  expect(chainIn(after.live)).toEqual(chainIn(before.live));
  const [vda, vdb] = await Promise.all(ended.disks.map(({ move }) => made(move)));
  expect(vda?.images).toMatchObject([
    { path: at('to/top'), format: 'qcow2', virtualSize: 64n << 20n, backing: { reference: 'base' } },
    { path: at('to/base'), format: 'qcow2', virtualSize: 64n << 20n, backing: null },
  ]);
  expect(vdb?.images).toMatchObject([{ path: at('to/data'), format: 'raw', virtualSize: 16n << 20n }]);
  expect(vda?.done?.verified).toBeGreaterThan(4n << 20n);
  expect(vda?.done?.verified).toBe(vda?.done?.copied);
  await reads(at('to/top'), 'qcow2', 42, 8);
  await reads(at('to/top'), 'qcow2', 7, 2);
});

const chainIn = (live: string) =>
  DomainXml.parse(live)
    .disks()
    .map(({ chain }) => chain.map(({ source }) => source));

test('one disk as one compressed image, named by the caller', async () => {
  await startIdle(host, DISKS());
  await writeAsGuest(host, 'vm', 8);
  const ended = await copy({
    disks: [{ disk: 'vda', destination: at('to/') }],
    scope: 'flatten',
    compressed: true,
    nameOf: (_, disk) => `${disk}.image`,
  });
  expect(ended.disks[0]?.ending).toEqual({ kind: 'copied' });
  expect(await files()).toEqual(['base', 'data', 'to', 'to/vda.image', 'top']);
  await run(['qemu-img', 'compare', '-U', '-f', 'qcow2', '-F', 'qcow2', at('top'), at('to/vda.image')]);
  expect((await run(['qemu-img', 'check', '-f', 'qcow2', at('to/vda.image')])).stdout).toMatch(
    /[1-9][\d.]*% compressed clusters/,
  );
});

test('whoever resumes one that another blockferry ends meanwhile begins nothing anew', async () => {
  await startIdle(host, DISKS());
  const { disks } = await plan({ disks: [{ disk: 'vda', destination: at('to/') }] });
  const [move] = disks.map((one) => one.move);
  if (move === undefined) throw new Error('planned');
  expect((await runMove(mover.context, move, options())).ending).toEqual({ kind: 'copied' });
  const { ending } = await runMove(mover.context, move, { ...options(), recorded: true });
  expect(ending).toMatchObject({ kind: 'back', why: 'ended by another blockferry' });
  expect(await findMoves(mover.context, 'vm')).toEqual([]);
});

test.each(['raw', 'vmdk', 'vdi', 'vhdx'])('as one image in %s', async (format) => {
  await startIdle(host, DISKS());
  const asked = { disks: [{ disk: 'vda', destination: at('to/image') }], scope: 'flatten', format } as const;
  const warnings = (await plan(asked)).disks.flatMap((disk) => disk.warnings).map(({ code }) => code);
  const ended = await copy(asked);
  expect(ended.disks[0]?.ending).toEqual({ kind: 'copied' });
  const isFull = (await stat(at('to/image'))).blocks * 512 >= 64 << 20;
  expect(warnings.includes('fully-allocated')).toBe(isFull);
  await run(['qemu-img', 'compare', '-U', '-f', 'qcow2', '-F', format, at('top'), at('to/image')]);
});

test('of a domain that is off, and of one that is transient', async () => {
  await startIdle(host, DISKS('off'));
  const before = await readTexts(host, 'vm');
  const disks = { allTo: at('to') };
  expect((await copy({ disks })).disks.map(({ ending }) => ending.kind)).toEqual(['copied', 'copied']);
  expect(await files()).toEqual(['base', 'data', 'to', 'to/base', 'to/data', 'to/top', 'top']);
  expect(await readTexts(host, 'vm')).toEqual(before);
  expect((await host.virsh('domstate', 'vm')).trim()).toBe('shut off');
  await removeIdle(host, 'vm');
  await startIdle(host, DISKS('transient'));
  await mkdir(at('more'));
  const ended = await copy({ disks: { allTo: at('more') } });
  expect(ended.disks.map(({ ending }) => ending.kind)).toEqual(['copied', 'copied']);
});

test('what cannot be copied so is refused, and nothing is touched', async () => {
  await startIdle(host, DISKS());
  const before = await readTexts(host, 'vm');
  const refused = async (asked: Partial<Asked>) =>
    plan({ disks: [{ disk: 'vda', destination: at('to/') }], ...asked }).then(
      () => 'not refused',
      ({ code }: Refusal) => code,
    );
  expect(await refused({ quiesce: 'require' })).toBe('no-guest-agent');
  expect(await refused({ compressed: true })).toBe('not-compressible');
  expect(await refused({ scope: 'flatten', format: 'raw', compressed: true })).toBe('not-compressible');
  expect(await refused({ scope: 'flatten', format: 'qed' })).toBe('unsupported-format');
  expect(await refused({ format: 'raw' })).toBe('format-keeps-shape');
  expect(await refused({ disks: [{ disk: 'vda', destination: 'nbd://localhost/x' }] })).toBe('not-a-file');
  expect(await refused({ disks: [{ disk: 'vda', destination: at('data') }] })).toBe('destination-in-use');
  expect(await refused({ disks: [{ disk: 'vda', destination: at('base') }] })).toBe('destination-is-source');
  expect(await refused({ nameOf: () => 'same' })).toBe('names-clash');
  expect(await files()).toEqual(['base', 'data', 'to', 'top']);
  expect(await readTexts(host, 'vm')).toEqual(before);
});

test('on a host without a storage daemon it is refused before the guest is frozen', async () => {
  await startIdle(host, DISKS());
  const { host: tools } = mover.context;
  if (tools === undefined) throw new Error('a local host');
  const lacks: Host['run'] = (argv, limits) => {
    if (argv[0] !== 'qemu-storage-daemon') return tools.run(argv, limits);
    const facts = { host: 'here', command: 'qemu-storage-daemon', detail: 'no such program', hint: '' };
    return Promise.reject(new HostError('not-found', facts));
  };
  const without = new Proxy(tools, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key);
      return key === 'run' ? lacks : typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const asked = {
    domain: 'vm',
    disks: { allTo: at('to') },
    scope: 'chain',
    verify: true,
    quiesce: 'off',
  } as const;
  const planned = preflightCopies({ ...mover.context, host: without }, asked);
  await expect(planned).rejects.toMatchObject({ code: 'no-storage-daemon' });
});

test('of a disk with copy_on_read, as long as QEMU can commit back: not any more once a mirror moved it', async () => {
  const disk = { target: 'vda', path: at('top'), format: 'qcow2', driver: { copy_on_read: 'on' } } as const;
  await startIdle(host, { name: 'vm', disks: [disk] });
  const to = (name: string) =>
    ({ disks: [{ disk: 'vda', destination: at(name) }], scope: 'flatten' }) as const;
  expect((await copy(to('one'))).disks[0]?.ending).toEqual({ kind: 'copied' });
  const mirror = { scope: 'flatten', strategy: 'mirror', destination: at('mirrored') } as const;
  const moved = await mover.move({ domain: 'vm', disk: 'vda', ...mirror });
  expect(moved.ending.kind).toBe('moved');
  expect(moved.warnings.map(({ code }) => code)).toContain('copy-on-read-ends');
  await expect(plan(to('two'))).rejects.toMatchObject({ code: 'copy-on-read' });
  await host.virsh('destroy', 'vm');
  await host.virsh('start', '--paused', 'vm');
  expect((await copy(to('two'))).disks[0]?.ending).toEqual({ kind: 'copied' });
});
