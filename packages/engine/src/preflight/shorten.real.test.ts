// Shortening a chain: what is refused, with everything left as it was, above all where a linked clone would be spoiled; and
// that checkpoints and names of backing files come out as they should.
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  backupSince,
  footprint,
  type LibvirtHost,
  Mover,
  makeEncrypted,
  removeIdle,
  run,
  smallFileSystem,
  startIdle,
  startLibvirtHost,
  writeAsGuest,
} from '@blockferry/testbed';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Refusal } from '../model/errors.ts';
import { preflightShorten } from './shorten.ts';
import type { ShortenRequest } from './shorten-request.ts';

let host: LibvirtHost;
let mover: Mover;
const at = (name: string) => join(host.imagesDir, name);
const virsh = (...args: readonly string[]) => host.virsh(...args);
const disk = (name: string) => ({ target: 'vda', path: at(name), format: 'qcow2' as const });

beforeAll(async () => {
  host = await startLibvirtHost();
  mover = new Mover(host);
});
afterAll(async () => {
  await mover.close();
  await host.stop();
});

async function create(name: string, base?: string, ...more: readonly string[]): Promise<void> {
  const format = base?.endsWith('.raw') ? 'raw' : 'qcow2';
  const backing = base === undefined ? [] : ['-b', base.startsWith('/') ? base : at(base), '-F', format];
  const size = base === undefined ? ['16M'] : [];
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', ...backing, ...more, at(name), ...size]);
}

// base <- middle <- top (vm, which runs).
beforeEach(async () => {
  await create('base');
  await create('middle', 'base');
  await create('top', 'middle');
  await startIdle(host, { name: 'vm', disks: [disk('top')] });
});
afterEach(async () => {
  for (const name of ['vm', 'other']) await removeIdle(host, name);
  await run(['sh', '-c', 'rm -rf "$1"/*', 'sh', host.imagesDir]);
});

const commit = (more: object = {}) => ({ how: { kind: 'commit', shallow: false, ...more } }) as const;
const pull = (more: object = {}) => ({ how: { kind: 'pull', ...more } }) as const;

type Asked = Pick<ShortenRequest, 'how'> & Partial<ShortenRequest>;
const requestOf = (asked: Asked): ShortenRequest => ({
  domain: 'vm',
  disk: 'vda',
  deleteSource: false,
  keepRelative: false,
  hold: false,
  ...asked,
});

/** Undefined: it is not refused. */
async function refusal(asked: Asked): Promise<Refusal | undefined> {
  const connection = await mover.context.link.connection();
  const before = await footprint(connection, host.imagesDir);
  const found = await preflightShorten(mover.context, requestOf(asked)).catch((error: unknown) => error);
  expect(await footprint(connection, host.imagesDir)).toEqual(before);
  if (found instanceof Refusal) return found;
  if (found instanceof Error) throw found;
  return undefined;
}

async function carryOut(asked: Asked) {
  const { move, warnings } = await preflightShorten(mover.context, requestOf(asked));
  return mover.run(move, warnings);
}

const coded = (code: string) => expect.objectContaining({ code });

describe('a base that a domain that is off stands on', () => {
  beforeEach(async () => {
    await create('clone', 'base');
    await startIdle(host, { name: 'other', disks: [disk('clone')], as: 'off' });
  });

  it('is never committed into; what is only its neighbour is', async () => {
    const refused = await refusal(commit());
    expect(refused).toMatchObject({
      code: 'image-shared',
      message: expect.stringContaining(`vda of other stands on ${at('base')} (persistent definition)`),
      hint: expect.stringContaining('blockferry flatten vm vda'),
    });
    expect(await refusal(commit({ top: at('middle') }))).toEqual(coded('image-shared'));
    expect(await refusal(commit({ shallow: true }))).toBeUndefined();
    await virsh('destroy', 'vm');
    expect(await refusal(commit())).toEqual(coded('image-shared'));
  });

  it('by another name, too, and with the clone another disk of the same domain', async () => {
    await run(['ln', '-s', at('base'), at('link')]);
    await run(['qemu-img', 'rebase', '-u', '-b', at('link'), '-F', 'qcow2', at('clone')]);
    expect(await refusal(commit())).toEqual(coded('image-shared'));
    await removeIdle(host, 'other');
    expect(await refusal(commit())).toBeUndefined();
    await virsh('attach-disk', 'vm', at('clone'), 'vdb', '--subdriver', 'qcow2', '--config');
    expect(await refusal(commit())).toEqual(coded('image-shared'));
  });

  it('stays where it is when the other disk is flattened, also with --delete', async () => {
    const { ending, warnings } = await carryOut({ ...pull(), deleteSource: true });
    expect(ending.kind).toBe('moved');
    expect(warnings).toContainEqual(
      expect.objectContaining({
        code: 'source-in-use',
        message: expect.stringContaining('other uses it for vda'),
      }),
    );
    expect((await stat(at('base'))).size).toBeGreaterThan(0);
    await expect(stat(at('middle'))).rejects.toThrow('ENOENT');
  });

  it('is not committed into by a job that begins when the clone is there, though it was not when it was asked for', async () => {
    await removeIdle(host, 'other');
    const { move } = await preflightShorten(mover.context, requestOf(commit()));
    await startIdle(host, { name: 'other', disks: [disk('clone')], as: 'off' });
    await expect(mover.run(move)).rejects.toThrow(/vda of other stands on .*, and would be spoiled/);
    expect((await mover.change('vm', { goal: 'abort' })).ending.kind).toBe('back');
    expect(await virsh('dumpxml', 'vm')).not.toContain('urn:blockferry');
  });

  it('may be used by a disk that cannot be looked at: refused too', async () => {
    await run(['rm', at('clone')]);
    await create('clone', 'base');
    await run(['qemu-img', 'rebase', '-u', '-b', at('gone'), '-F', 'qcow2', at('clone')]);
    expect(await refusal(commit())).toEqual(coded('use-unknown'));
    expect(await refusal(pull())).toBeUndefined();
  });
});

describe("libvirt's snapshots", () => {
  it('beside the images that a commit changes refuse it, others do not', async () => {
    const beside = ['--disk-only', '--diskspec', `vda,file=${at('over')}`];
    await virsh('snapshot-create-as', 'vm', 'monday', ...beside);
    const refused = await refusal(commit());
    expect(refused).toMatchObject({
      code: 'snapshot-needs',
      hint: expect.stringContaining('virsh snapshot-delete vm monday --metadata'),
    });
    // monday is top and what is below it: `over` goes into it.
    expect(await refusal(commit({ shallow: true }))).toEqual(coded('snapshot-needs'));
    expect(await refusal(pull())).toBeUndefined();
    await virsh('snapshot-delete', 'vm', 'monday', '--metadata');
    expect(await refusal(commit())).toBeUndefined();
  });

  it('of an overlay that another domain once had on the base', async () => {
    await create('theirs', 'base');
    await startIdle(host, { name: 'other', disks: [disk('theirs')], as: 'off' });
    await virsh('snapshot-create-as', 'other', 'old');
    await virsh('detach-disk', 'other', 'vda', '--config');
    expect(await refusal(commit())).toMatchObject({ code: 'snapshot-needs', message: /old of other/ });
  });

  it('inside an image that leaves, or in an active image that needs what is below it', async () => {
    await virsh('snapshot-create-as', 'vm', 'inside');
    expect(await refusal(commit())).toEqual(coded('internal-snapshots'));
    expect(await refusal(pull())).toEqual(coded('internal-snapshots'));
    expect(await refusal(commit({ top: at('middle') }))).toBeUndefined();
  });
});

describe('checkpoints', () => {
  const write = (offset: number) => writeAsGuest(host, 'vm', offset);

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
    expect((await carryOut({ how: named as ShortenRequest['how'] })).ending.kind).toBe('moved');
    await write(5);
    expect(await backupSince(host, 'vm', 'monday')).toEqual([1, 3, 5]);
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
    expect(await backupSince(host, 'vm', 'monday')).toEqual([1, 3, 5]);
  });

  it('refuse a commit into a raw base, which has no place for them', async () => {
    await removeIdle(host, 'vm');
    await run(['qemu-img', 'create', '-q', '-f', 'raw', at('base.raw'), '16M']);
    await create('over-raw', 'base.raw');
    await startIdle(host, { name: 'vm', disks: [disk('over-raw')] });
    expect(await refusal(commit())).toBeUndefined();
    await virsh('checkpoint-create-as', 'vm', 'monday');
    expect(await refusal(commit())).toEqual(coded('checkpoints-lost'));
  });
});

describe('names', () => {
  const backing = async (name: string) =>
    JSON.parse((await run(['qemu-img', 'info', '-U', '--output=json', at(name)])).stdout)['backing-filename'];

  it.each(['running', 'off'])(
    'relative ones stay so with --keep-relative; without, it is said (%s)',
    async (state) => {
      await removeIdle(host, 'vm');
      for (const [name, below] of [
        ['middle', 'base'],
        ['top', 'middle'],
      ] as const) {
        await run(['qemu-img', 'rebase', '-u', '-b', below, '-F', 'qcow2', at(name)]);
      }
      await startIdle(host, {
        name: 'vm',
        disks: [disk('top')],
        ...(state === 'off' && { as: 'off' as const }),
      });
      const asked = commit({ top: at('middle') });
      const { warnings } = await preflightShorten(mover.context, requestOf(asked));
      expect(warnings.map(({ code }) => code)).toEqual(['backing-becomes-absolute']);
      const done = await carryOut({ ...asked, keepRelative: true });
      expect(done).toMatchObject({ ending: { kind: 'moved' }, warnings: [] });
      expect(await backing('top')).toBe('base');
    },
  );

  it('of images that are none of the chain, or in the wrong order; the index that libvirt has for one is understood', async () => {
    expect(await refusal(commit({ base: '/nowhere' }))).toMatchObject({
      code: 'no-such-image',
      hint: expect.stringContaining(`${at('top')}, ${at('middle')}, ${at('base')}`),
    });
    expect(await refusal(commit({ top: at('base') }))).toEqual(coded('wrong-order'));
    expect(await refusal(commit({ top: at('base'), base: at('top') }))).toEqual(coded('wrong-order'));
    expect(await refusal(pull({ base: at('middle') }))).toEqual(coded('wrong-order'));
    expect(await refusal(commit({ top: 'vda[2]', base: 'vda[3]' }))).toBeUndefined();
  });
});

describe('besides', () => {
  it('one image alone, a wait where there is no switch, another definition, somebody else’s job', async () => {
    await create('single');
    await startIdle(host, { name: 'other', disks: [disk('single')] });
    expect(await refusal({ ...commit(), domain: 'other' })).toEqual(coded('no-chain'));
    expect(await refusal({ ...commit({ top: at('middle') }), hold: true })).toEqual(coded('cannot-hold'));
    const xml = at('old.xml');
    await writeFile(xml, (await virsh('dumpxml', '--inactive', 'vm')).replaceAll(at('top'), at('middle')));
    await virsh('define', xml);
    expect(await refusal(commit())).toEqual(coded('definition-differs'));
    expect(await refusal(pull())).toBeUndefined();
    await virsh('blockcopy', 'vm', 'vda', '--dest', at('theirs'), '--transient-job');
    expect(await refusal(pull())).toEqual(coded('disk-busy'));
  });

  it('a base that is larger than the disk, one that is not encrypted, a domain that was saved', async () => {
    await virsh('managedsave', 'vm');
    expect(await refusal(commit())).toEqual(coded('managed-save'));
    await virsh('managedsave-remove', 'vm');
    await run(['qemu-img', 'resize', '-q', at('base'), '32M']);
    expect(await refusal(commit())).toEqual(coded('size-differs'));
    expect(await refusal(commit({ shallow: true }))).toBeUndefined();
    const secret = ['--object', 'secret,id=key,data=open sesame'];
    const luks = ['encrypt.format=luks', 'encrypt.key-secret=key', 'encrypt.iter-time=10'].join();
    const over = ['-b', at('middle'), '-F', 'qcow2'];
    await makeEncrypted('create', '-q', '-f', 'qcow2', ...secret, '-o', luks, ...over, at('locked'), '16M');
    await startIdle(host, { name: 'other', disks: [disk('locked')], as: 'off' });
    const locked = { ...commit({ shallow: true }), domain: 'other' };
    await removeIdle(host, 'vm');
    expect(await refusal(locked)).toEqual(coded('encrypted'));
  });

  it('a base whose storage is too full for what would go into it', async () => {
    await removeIdle(host, 'vm');
    await using full = await smallFileSystem(host, { bytes: 16n << 20n });
    const base = join(full.directory, 'base');
    await run(['qemu-img', 'create', '-q', '-f', 'qcow2', base, '64M']);
    await create('over-full', base);
    await run(['qemu-io', '-f', 'qcow2', '-c', 'write -P 7 0 20M', at('over-full')]);
    await startIdle(host, { name: 'vm', disks: [disk('over-full')] });
    expect(await refusal(commit())).toEqual(coded('destination-too-small'));
    expect(await refusal(pull())).toBeUndefined();
  });
});

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
    await removeIdle(host, 'vm');
    await writeFile(at('secret.xml'), `<secret private='no'><uuid>${uuid}</uuid></secret>`);
    await virsh('secret-define', at('secret.xml'));
    await virsh('secret-set-value', uuid, '--base64', Buffer.from('open sesame').toString('base64'));
    await make('l0');
    for (const each of [1, 2, 3]) await make(`l${each}`, '-u', '-b', at(`l${each - 1}`), '-F', 'qcow2');
    await startIdle(host, { name: 'vm', disks: [locked('l3', 'l2', 'l1', 'l0')] });
    await writeAsGuest(host, 'vm', 1, 7);
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
