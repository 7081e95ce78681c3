// Shortening a chain: what is refused, with everything left as it was, above all where a linked clone would be spoiled.
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeEncrypted, removeIdle, run, smallFileSystem, startIdle, until } from '@blockferry/testbed';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Asked, coded, commit, IdleChain, pull } from '../../test/idle-chain.ts';

let chain: IdleChain;
const at = (name: string) => chain.at(name);
const virsh = (...args: readonly string[]) => chain.virsh(...args);
const disk = (name: string) => chain.disk(name);
const create = (name: string, base?: string, size?: string) => chain.create(name, base, size);
const refusal = (asked: Asked) => chain.refusal(asked);
const carryOut = (asked: Asked) => chain.carryOut(asked);
beforeAll(async () => {
  chain = await IdleChain.start();
});
afterAll(() => chain.stop());
beforeEach(() => chain.begin());
afterEach(() => chain.end());

describe('a base that a domain that is off stands on', () => {
  beforeEach(async () => {
    await create('clone', 'base');
    await startIdle(chain.host, { name: 'other', disks: [disk('clone')], as: 'off' });
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

  it('by another name, too, and with the clone another disk of the same domain, or its CD-ROM', async () => {
    await run(['ln', '-s', at('base'), at('link')]);
    await run(['qemu-img', 'rebase', '-u', '-b', at('link'), '-F', 'qcow2', at('clone')]);
    expect(await refusal(commit())).toEqual(coded('image-shared'));
    await removeIdle(chain.host, 'other');
    expect(await refusal(commit())).toBeUndefined();
    for (const [target, ...more] of [['vdb'], ['sda', '--targetbus', 'sata', '--type', 'cdrom']] as const) {
      await virsh('attach-disk', 'vm', at('clone'), target, '--subdriver', 'qcow2', '--config', ...more);
      expect(await refusal(commit())).toEqual(coded('image-shared'));
      await virsh('detach-disk', 'vm', target, '--config');
    }
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
    await removeIdle(chain.host, 'other');
    const { move } = await chain.plan(commit());
    await startIdle(chain.host, { name: 'other', disks: [disk('clone')], as: 'off' });
    await expect(chain.mover.run(move)).rejects.toThrow(/vda of other stands on .*, and would be spoiled/);
    expect((await chain.mover.change('vm', { goal: 'abort' })).ending.kind).toBe('back');
    expect(await virsh('dumpxml', 'vm')).not.toContain('urn:blockferry');
  });

  it('counts for a domain that was saved with the clone, though its definition has it no more', async () => {
    await virsh('start', '--paused', 'other');
    await virsh('managedsave', 'other');
    await virsh('detach-disk', 'other', 'vda', '--config');
    expect(await refusal(commit())).toMatchObject({
      code: 'image-shared',
      message: expect.stringContaining('(saved definition)'),
    });
    await virsh('managedsave-remove', 'other');
    expect(await refusal(commit())).toBeUndefined();
  });

  it('has none on it in a file that is gone; one behind a link, or whose directory may not be mounted, may be', async () => {
    await run(['rm', at('clone')]);
    expect(await refusal(commit())).toBeUndefined();
    await run(['ln', '-s', '/nowhere/clone', at('clone')]);
    expect(await refusal(commit())).toEqual(coded('use-unknown'));
    await removeIdle(chain.host, 'other');
    await run(['mkdir', join(chain.host.directory, 'unmounted')]);
    const path = join(chain.host.directory, 'unmounted', 'clone');
    await startIdle(chain.host, { name: 'other', disks: [{ ...disk('clone'), path }], as: 'off' });
    expect(await refusal(commit())).toEqual(coded('use-unknown'));
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
    await startIdle(chain.host, { name: 'other', disks: [disk('theirs')], as: 'off' });
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

describe('a limit for a domain that is off', () => {
  it('holds for a commit; where qemu-img knows none it is said', async () => {
    await virsh('destroy', 'vm');
    await run(['qemu-io', '-f', 'qcow2', '-c', 'write -P 7 0 4M', at('top')]);
    const bandwidth = 1n << 20n;
    const { warnings } = await chain.plan({ ...pull(), bandwidth });
    expect(warnings.map(({ code }) => code)).toEqual(['no-bandwidth']);
    const ferried = carryOut({ ...commit({ shallow: true }), bandwidth });
    const limited = await until('qemu-img commit', async () =>
      (await run(['ps', '-eo', 'args'])).stdout.split('\n').find((line) => /^qemu-img commit/.test(line)),
    );
    expect(limited).toContain(`-r ${bandwidth}`);
    expect(await ferried).toMatchObject({ ending: { kind: 'moved' }, warnings: [] });
  });
});

describe('names', () => {
  const backing = async (name: string) =>
    JSON.parse((await run(['qemu-img', 'info', '-U', '--output=json', at(name)])).stdout)['backing-filename'];

  it.each(['running', 'off'])(
    'relative ones stay so with --keep-relative; without, it is said (%s)',
    async (state) => {
      await removeIdle(chain.host, 'vm');
      for (const [name, below] of [
        ['middle', 'base'],
        ['top', 'middle'],
      ] as const) {
        await run(['qemu-img', 'rebase', '-u', '-b', below, '-F', 'qcow2', at(name)]);
      }
      await startIdle(chain.host, {
        name: 'vm',
        disks: [disk('top')],
        ...(state === 'off' && { as: 'off' as const }),
      });
      const asked = commit({ top: at('middle') });
      const { warnings } = await chain.plan(asked);
      expect(warnings.map(({ code }) => code)).toEqual(['backing-becomes-absolute']);
      const done = await carryOut({ ...asked, keepRelative: true });
      expect(done).toMatchObject({ ending: { kind: 'moved' }, warnings: [] });
      expect(await backing('top')).toBe('base');
    },
  );

  it.each([
    ['a linked directory', 'link', 'base', '../../base'],
    ['a name with a colon', 'deep', 'deep/a:b', './a:b'],
  ])('relative ones lead where they should from %s (off)', async (_, directory, base, expected) => {
    await removeIdle(chain.host, 'vm');
    await run(['mkdir', '-p', at('deep/down')]);
    await run(['ln', '-s', 'deep/down', at('link')]);
    await create(base);
    await create(`${directory}/middle`, base);
    await run([
      ...['qemu-img', 'create', '-q', '-f', 'qcow2', '-b', 'middle', '-F', 'qcow2'],
      at(`${directory}/top`),
    ]);
    await startIdle(chain.host, { name: 'vm', disks: [disk(`${directory}/top`)], as: 'off' });
    const asked = { ...commit({ top: at(`${directory}/middle`) }), keepRelative: true };
    expect((await carryOut(asked)).ending.kind).toBe('moved');
    expect(await backing(`${directory}/top`)).toBe(expected);
    await virsh('start', '--paused', 'vm');
  });

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
    await startIdle(chain.host, { name: 'other', disks: [disk('single')] });
    expect(await refusal({ ...commit(), domain: 'other' })).toEqual(coded('no-chain'));
    expect(await refusal({ ...commit({ top: at('middle') }), hold: true })).toEqual(coded('cannot-hold'));
    const xml = at('old.xml');
    await writeFile(xml, (await virsh('dumpxml', '--inactive', 'vm')).replaceAll(at('top'), at('middle')));
    await virsh('define', xml);
    expect(await refusal(commit())).toEqual(coded('definition-differs'));
    expect(await refusal(pull())).toBeUndefined();
    await virsh('blockcopy', 'vm', 'vda', '--dest', at('theirs'), '--transient-job', '--wait');
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
    await startIdle(chain.host, { name: 'other', disks: [disk('locked')], as: 'off' });
    const locked = { ...commit({ shallow: true }), domain: 'other' };
    await removeIdle(chain.host, 'vm');
    expect(await refusal(locked)).toEqual(coded('encrypted'));
  });

  it('an image that is shorter than what is above it, and than the base: what is there beyond its end would show', async () => {
    await removeIdle(chain.host, 'vm');
    await run(['qemu-io', '-f', 'qcow2', '-c', 'write -P 7 12M 64k', at('base')]);
    await create('short', 'base', '8M');
    await create('long', 'short', '16M');
    await startIdle(chain.host, { name: 'vm', disks: [disk('long')] });
    const toBase = { base: at('base') };
    expect(await refusal(commit({ top: at('short'), ...toBase }))).toEqual(coded('size-differs'));
    expect(await refusal(pull(toBase))).toEqual(coded('size-differs'));
    expect(await refusal(commit())).toBeUndefined();
    await virsh('destroy', 'vm');
    expect((await carryOut(pull(toBase))).ending.kind).toBe('moved');
    await run(['qemu-io', '-r', '-f', 'qcow2', '-c', 'read -P 0 12M 64k', at('long')]);
  });

  it('a base whose storage is too full for what would go into it', async () => {
    await removeIdle(chain.host, 'vm');
    await using full = await smallFileSystem(chain.host, { bytes: 16n << 20n });
    const base = join(full.directory, 'base');
    await run(['qemu-img', 'create', '-q', '-f', 'qcow2', base, '64M']);
    await run(['ln', '-s', base, at('link')]);
    await create('over-full', 'link');
    await run(['qemu-io', '-f', 'qcow2', '-c', 'write -P 7 0 20M', at('over-full')]);
    await startIdle(chain.host, { name: 'vm', disks: [disk('over-full')] });
    expect(await refusal(commit())).toEqual(coded('destination-too-small'));
    expect(await refusal(pull())).toBeUndefined();
  });

  it('a base that is full half-way ends the job, and the disk is what it was', async () => {
    await removeIdle(chain.host, 'vm');
    await using small = await smallFileSystem(chain.host, { bytes: 64n << 20n });
    const base = join(small.directory, 'base');
    await run(['qemu-img', 'create', '-q', '-f', 'qcow2', base, '64M']);
    await create('over-small', base);
    await run(['qemu-io', '-f', 'qcow2', '-c', 'write -P 7 0 20M', at('over-small')]);
    await startIdle(chain.host, { name: 'vm', disks: [disk('over-small')] });
    const { move } = await chain.plan(commit());
    await run(['sh', '-c', 'head -c 50M /dev/zero > "$1"', 'sh', join(small.directory, 'others')]);
    const { ending } = await chain.mover.run(move);
    expect(ending).toMatchObject({ kind: 'back', why: expect.stringContaining('full') });
    await run(['qemu-io', '-U', '-r', '-f', 'qcow2', '-c', 'read -P 7 0 20M', at('over-small')]);
    expect(await virsh('dumpxml', 'vm')).not.toContain('urn:blockferry');
    await removeIdle(chain.host, 'vm');
  });
});
