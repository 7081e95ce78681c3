// What a chain still is when it is shorter: its checkpoints make whole increments, and what was encrypted is.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { backupSince, makeEncrypted, removeIdle, run, startIdle, writeAsGuest } from '@blockferry/testbed';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Asked, coded, commit, IdleChain, pull } from '../../test/idle-chain.ts';
import { runMove } from '../run/run-move.ts';

let chain: IdleChain;
const at = (name: string) => chain.at(name);
const virsh = (...args: readonly string[]) => chain.virsh(...args);
const disk = (name: string) => chain.disk(name);
const create = (name: string, base?: string) => chain.create(name, base);
const refusal = (asked: Asked) => chain.refusal(asked);
const carryOut = (asked: Asked) => chain.carryOut(asked);
beforeAll(async () => {
  chain = await IdleChain.start();
});
afterAll(() => chain.stop());
beforeEach(() => chain.begin());
afterEach(() => chain.end());

describe('checkpoints', () => {
  const write = (offset: number) => writeAsGuest(chain.host, 'vm', offset);

  it.each([
    ['a commit of all', commit()],
    ['a commit from the middle', commit({ top: 'middle', base: 'base' })],
    ['a pull', pull()],
  ])('live through %s: an increment holds what changed, no less and no more', async (_, asked) => {
    await virsh('checkpoint-create-as', 'vm', 'monday');
    await write(1);
    const beside = ['--disk-only', '--no-metadata', '--diskspec', `vda,file=${at('over')}`];
    await virsh('snapshot-create-as', 'vm', ...beside);
    await write(3);
    const { how } = asked;
    const named = how.kind === 'commit' && 'top' in how ? { ...how, top: at('top'), base: at('base') } : how;
    expect((await carryOut({ how: named as Asked['how'] })).ending.kind).toBe('moved');
    await write(5);
    expect(await backupSince(chain.host, 'vm', 'monday')).toEqual([1, 3, 5]);
  });

  it('and through a commit with the domain off; a pull that would break them is refused', async () => {
    await virsh('checkpoint-create-as', 'vm', 'monday');
    await write(1);
    const beside = ['--disk-only', '--no-metadata', '--diskspec', `vda,file=${at('over')}`];
    await virsh('snapshot-create-as', 'vm', ...beside);
    await write(3);
    await virsh('destroy', '--graceful', 'vm');
    expect(await refusal(pull())).toEqual(coded('checkpoints-lost'));
    expect((await carryOut(commit())).ending.kind).toBe('moved');
    await virsh('start', '--paused', 'vm');
    await write(5);
    expect(await backupSince(chain.host, 'vm', 'monday')).toEqual([1, 3, 5]);
  });

  it.each([
    ['raw', 'base.raw', ['-f', 'raw']],
    ['qcow2 of the old kind', 'base.old', ['-f', 'qcow2', '-o', 'compat=0.10']],
  ])('refuse a commit into a base which has no place for them: %s', async (_, base, format) => {
    await removeIdle(chain.host, 'vm');
    await run(['qemu-img', 'create', '-q', ...format, at(base), '16M']);
    await create('over', base);
    const disks = [disk('over'), { ...disk('top'), target: 'vdb' }];
    await startIdle(chain.host, { name: 'vm', disks });
    await virsh('checkpoint-create-as', 'vm', 'sunday', '--diskspec', 'vdb');
    expect(await refusal(commit())).toBeUndefined();
    await virsh('checkpoint-create-as', 'vm', 'monday');
    expect(await refusal(commit())).toEqual(coded('checkpoints-lost'));
  });
});

it('a guest is not switched to a base whose name is gone', async () => {
  expect((await carryOut({ ...commit(), hold: true })).ending.kind).toBe('ready');
  await run(['rm', at('base')]);
  const { ending } = await chain.mover.change('vm', { goal: 'pivot' });
  expect(ending).toMatchObject({ kind: 'back', why: expect.stringContaining('deleted') });
  expect(await virsh('domblklist', 'vm')).toContain(at('top'));
});

describe('a domain that is off', () => {
  it('is not committed for who asked to wait, but for who then says so', async () => {
    expect((await carryOut({ ...commit(), hold: true })).ending.kind).toBe('ready');
    await virsh('destroy', 'vm');
    expect((await chain.mover.change('vm', {})).ending).toMatchObject({
      kind: 'interrupted',
      why: 'domain-off',
    });
    expect((await chain.mover.change('vm', { goal: 'pivot' })).ending.kind).toBe('moved');
    expect(await virsh('domblklist', 'vm')).toContain(at('base'));
  });

  it('goes back without an image of its chain that is gone', async () => {
    await virsh('destroy', 'vm');
    const { move } = await chain.plan(commit({ top: at('middle') }));
    const stop = new AbortController();
    const afterStep = (name: string) => name === 'record' && stop.abort();
    await runMove(chain.mover.context, move, { signal: stop.signal, report: () => {}, afterStep });
    await run(['rm', at('middle')]);
    expect((await chain.mover.change('vm', { goal: 'abort' })).ending.kind).toBe('back');
    expect(await virsh('dumpxml', 'vm')).not.toContain('urn:blockferry');
  });

  it('starts again, committed on storage without direct I/O', async () => {
    await removeIdle(chain.host, 'vm');
    await mkdir(at('ram'));
    await run(['mount', '-t', 'ramfs', '-o', 'mode=755', 'ramfs', at('ram')]);
    try {
      await create('ram/base');
      await create('ram/top', 'ram/base');
      await startIdle(chain.host, { name: 'vm', disks: [disk('ram/top')], as: 'off' });
      expect((await carryOut(commit())).ending.kind).toBe('moved');
      await virsh('start', '--paused', 'vm');
      await removeIdle(chain.host, 'vm');
    } finally {
      await run(['umount', '--lazy', at('ram')]);
    }
  });

  it('starts again over headers that name no format, where its definition does', async () => {
    await removeIdle(chain.host, 'vm');
    await create('upper', 'top');
    await forgetBackingFormat('top');
    const below = ['top', 'middle', 'base'].reduceRight(
      (inner, name) =>
        `<backingStore type='file'><format type='qcow2'/><source file='${at(name)}'/>${inner}</backingStore>`,
      '<backingStore/>',
    );
    const told = `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${at('upper')}'/>${below}<target dev='vda' bus='virtio'/></disk>`;
    await startIdle(chain.host, { name: 'vm', disks: [told], as: 'off' });
    expect(await refusal(pull())).toEqual(coded('format-undeclared'));
    expect((await carryOut(commit({ shallow: true }))).ending.kind).toBe('moved');
    await virsh('start', '--paused', 'vm');
  });
});

/** As tools before QEMU 5.1 wrote it: the header's extension of that name becomes one that nobody knows. */
async function forgetBackingFormat(name: string): Promise<void> {
  const bytes = await readFile(at(name));
  bytes.writeUInt32BE(0x12345678, bytes.indexOf(Buffer.from('e2792aca', 'hex')));
  await writeFile(at(name), bytes);
}

describe('a chain in LUKS', () => {
  const uuid = '0aa7a40c-6d49-4c1b-9f51-7a1a6f3d1c55';
  const key = `<encryption format='luks'><secret type='passphrase' uuid='${uuid}'/></encryption>`;
  const secret = ['--object', 'secret,id=key,data=open sesame'];
  const luks = ['encrypt.format=luks', 'encrypt.key-secret=key', 'encrypt.iter-time=10'].join();
  const make = (name: string, ...more: readonly string[]) =>
    makeEncrypted('create', '-q', '-f', 'qcow2', ...secret, '-o', luks, ...more, at(name), '16M');
  /** The definition spells the chain out, for headers do not name secrets. */
  const locked = (top: string, ...below: readonly string[]): string => {
    const image = (name: string) => `<source file='${at(name)}'>${key}</source>`;
    const backing = below.reduceRight(
      (inner, name) =>
        `<backingStore type='file'><format type='qcow2'/>${image(name)}${inner}</backingStore>`,
      '<backingStore/>',
    );
    return `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>${image(top)}${backing}<target dev='vda' bus='virtio'/></disk>`;
  };

  it('stays in LUKS and starts again, committed while it runs and when it is off, and flattened', async () => {
    await removeIdle(chain.host, 'vm');
    await writeFile(at('secret.xml'), `<secret private='no'><uuid>${uuid}</uuid></secret>`);
    await virsh('secret-define', at('secret.xml'));
    await virsh('secret-set-value', uuid, '--base64', Buffer.from('open sesame').toString('base64'));
    await make('l0');
    for (const each of [1, 2, 3]) await make(`l${each}`, '-u', '-b', at(`l${each - 1}`), '-F', 'qcow2');
    await startIdle(chain.host, { name: 'vm', disks: [locked('l3', 'l2', 'l1', 'l0')] });
    await writeAsGuest(chain.host, 'vm', 1, 7);
    const readBack = async () => {
      const device = '/machine/peripheral/virtio-disk0/virtio-backend';
      return virsh('qemu-monitor-command', '--hmp', 'vm', `qemu-io -d ${device} "read -P 7 1M 64k"`);
    };
    const restarted = async () => {
      await virsh('destroy', '--graceful', 'vm').catch(() => undefined);
      await virsh('start', '--paused', 'vm');
      expect(await readBack()).not.toMatch(/failed|error/i);
    };
    expect((await carryOut(commit({ shallow: true }))).ending.kind).toBe('moved');
    await virsh('destroy', '--graceful', 'vm');
    expect(await refusal(pull())).toEqual(coded('encrypted'));
    expect((await carryOut(commit({ shallow: true }))).ending.kind).toBe('moved');
    await restarted();
    expect((await carryOut(pull())).ending.kind).toBe('moved');
    await restarted();
    expect(await virsh('domblklist', 'vm')).toContain(at('l1'));
    expect(await virsh('dumpxml', '--inactive', 'vm')).not.toContain(at('l0'));
  });
});
