// The article that this project began with, "Live disk migration with libvirt blockcopy", line by line: what it types
// stays as it is where it is no business of ours, and what it does with virsh blockcopy is done by blockferry.
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Guest,
  guestWriter,
  type LibvirtHost,
  run,
  startGuest,
  startLibvirtHost,
  until,
  verifyAcknowledged,
  writerRegion,
} from '@blockferry/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inProcess, lastLine, type Said, start, type Where } from '../test/command.ts';

const SIZE = 1n << 30n;
const TIMEOUT_MS = 300_000;
/** libguestfs by itself, without libvirt and without KVM. */
const GUESTFISH = ['env', 'LIBGUESTFS_BACKEND=direct', 'LIBGUESTFS_BACKEND_SETTINGS=force_tcg', 'guestfish'];

let host: LibvirtHost;
let where: Where;
let guest: Guest;
const at = (name: string) => join(host.imagesDir, name);

beforeAll(async () => {
  host = await startLibvirtHost();
  where = { uri: host.uri, stateDirectory: join(host.directory, 'state') };
});
afterAll(() => host?.stop());

async function guestfish(image: string, ...commands: readonly string[]): Promise<string[]> {
  const script = commands.flatMap((command) => [':', ...command.split(' ')]).slice(1);
  const argv = [...GUESTFISH, '--format=qcow2', '-a', at(image), ...script];
  const { stdout } = await run(argv, { timeoutMs: TIMEOUT_MS });
  return stdout.split('\n').filter((line) => line !== '' && line !== 'lost+found');
}

const blockferry = async (...argv: string[]): Promise<Said> => {
  const said = await inProcess(where, ...argv);
  expect(said.err, `${argv.join(' ')}: ${said.out}`).not.toContain('blockferry:');
  expect(said.code).toBe(0);
  return said;
};

const source = async (...options: string[]) =>
  /vda +(\S+)/.exec(await host.virsh('domblklist', ...options, 'testvm'))?.[1];

/** Names of the files of a chain, the active image first, as qemu-img knows them. */
async function backingChain(image: string): Promise<string[]> {
  const { stdout } = await run(['qemu-img', 'info', '-U', '--backing-chain', at(image)]);
  return [...stdout.matchAll(/^image: .*\/(.*)$/gm)].map(([, name = '']) => name);
}

describe('Prepare disk images, backing chain & define the libvirt guest', () => {
  it(
    'qemu-img create base; guestfish: a partition, a file system, touch /foo',
    async () => {
      await run(['qemu-img', 'create', '-f', 'qcow2', at('base.qcow2'), '1G']);
      // The article's `part-disk` takes the whole disk; here its end is left to the guest that writes.
      const end = writerRegion(SIZE).offset / 512n - 1n;
      const part = ['part-init /dev/sda mbr', `part-add /dev/sda p 2048 ${end}`, 'mkfs ext4 /dev/sda1'];
      const files = await guestfish('base.qcow2', 'run', ...part, 'mount /dev/sda1 /', 'touch /foo', 'ls /');
      expect(files).toEqual(['foo']);
    },
    TIMEOUT_MS,
  );

  it.each([
    ['snap1', 'base', '/bar', ['bar', 'foo']],
    ['snap2', 'snap1', '/baz', ['bar', 'baz', 'foo']],
  ])(
    'qemu-img create %s -b %s; guestfish: touch %s',
    async (name, below, file, listed) => {
      const backing = ['-b', at(`${below}.qcow2`), '-o', 'backing_fmt=qcow2'];
      await run(['qemu-img', 'create', '-f', 'qcow2', ...backing, at(`${name}.qcow2`)]);
      const mount = ['run', 'mount /dev/sda1 /'];
      expect(await guestfish(`${name}.qcow2`, ...mount, `touch ${file}`, 'ls /')).toEqual(listed);
    },
    TIMEOUT_MS,
  );

  it('virsh define, virsh start: the guest runs, and writes', async () => {
    guest = await startGuest(host, {
      name: 'testvm',
      disks: [{ target: 'vda', path: at('snap2.qcow2'), format: 'qcow2' }],
      writers: [guestWriter('vda', writerRegion(SIZE))],
    });
    await guest.waitForWrites(10);
  });
});

describe('Perform live disk migration', () => {
  it('virsh domblklist, qemu-img info --backing-chain: ours is `chain`', async () => {
    expect(await source()).toBe(at('snap2.qcow2'));
    const chain = ['snap2.qcow2', 'snap1.qcow2', 'base.qcow2'];
    expect(await backingChain('snap2.qcow2')).toEqual(chain);
    const { out } = await blockferry('chain', 'testvm', 'vda');
    for (const name of chain) expect(out).toContain(at(name));
  });

  it('virsh dumpxml, undefine, blockcopy --wait --verbose --shallow --pivot --finish, define: ours is one `move`', async () => {
    await blockferry('move', 'testvm', 'vda', at('copy.qcow2'), '--shallow');
    await guest.waitForWrites(10);
  });

  it('virsh domblklist: QEMU has pivoted to the copy, and the next boot will use it too', async () => {
    expect(await source()).toBe(at('copy.qcow2'));
    expect(await source('--inactive')).toBe(at('copy.qcow2'));
  });

  it('qemu-img info --backing-chain: copy shares the chain of snap1 and base', async () => {
    expect(await backingChain('copy.qcow2')).toEqual(['copy.qcow2', 'snap1.qcow2', 'base.qcow2']);
  });

  it(
    'guestfish: ours is `ls`, while the VM runs',
    async () => {
      const { out } = await blockferry('ls', 'testvm', '/', '--mount', '/dev/sda1');
      for (const file of ['foo', 'bar', 'baz']) expect(out).toContain(file);
    },
    TIMEOUT_MS,
  );

  it(
    'guestfish on the copy itself, the VM off: all of base, snap1 and snap2, and every write of the guest',
    async () => {
      await guest.stop();
      const listed = await guestfish('copy.qcow2', 'run', 'mount-ro /dev/sda1 /', 'ls /');
      expect(listed).toEqual(['bar', 'baz', 'foo']);
      const image = { path: at('copy.qcow2'), format: 'qcow2' } as const;
      expect((await verifyAcknowledged(image, await guest.acknowledged())).lost).toEqual([]);
    },
    TIMEOUT_MS,
  );
});

describe('the same, by hand: made transient with virsh, moved, and defined again', () => {
  it('virsh dumpxml --inactive > testvm.xml; undefine; move; define', async () => {
    await guest.start();
    const xml = join(host.directory, 'guest', 'kept.xml');
    await writeFile(xml, await host.virsh('dumpxml', '--inactive', 'testvm'));
    await host.virsh('undefine', 'testvm');
    await blockferry('move', 'testvm', 'vda', at('again.qcow2'), '--shallow');
    expect(await source()).toBe(at('again.qcow2'));
    const kept = (await run(['cat', xml])).stdout.replaceAll(at('copy.qcow2'), at('again.qcow2'));
    await writeFile(xml, kept);
    await host.virsh('define', xml);
    expect(await source('--inactive')).toBe(at('again.qcow2'));
    await guest.waitForWrites(10);
    await guest.stop();
    const image = { path: at('again.qcow2'), format: 'qcow2' } as const;
    expect((await verifyAcknowledged(image, await guest.acknowledged())).lost).toEqual([]);
  });
});

describe('A blockcopy operation has two phases', () => {
  const job = async () => (await host.virsh('blockjob', 'testvm', 'vda', '--raw')).trim();
  const now = async () => (await source()) ?? '';

  it('(a) virsh blockjob --abort while it copies reverts to the source: ours is `abort`', async () => {
    await guest.start();
    const before = await now();
    const copying = start(
      where,
      'move',
      'testvm',
      'vda',
      at('given-up.qcow2'),
      '--shallow',
      '--bandwidth',
      '64K',
    );
    await until('the copy', async () => ((await job()) === '' ? undefined : true));
    await blockferry('abort', 'testvm', 'vda');
    expect((await copying.ended).code).toBe(1);
    expect(await now()).toBe(before);
    expect(await run(['find', at('given-up.qcow2')], { accept: [1] })).toMatchObject({ code: 1 });
  });

  it('(b) the mirroring job remains awake until told: ours is `move --hold`, and `status`', async () => {
    await blockferry('move', 'testvm', 'vda', at('held.qcow2'), '--shallow', '--hold');
    expect(await job()).toContain('type=Block Copy');
    expect((await blockferry('status', 'testvm')).out).toContain('testvm vda: ready, held');
  });

  it('--finish, an abort at the end: ours is `abort --keep`, and the copy is the disk as it was then', async () => {
    const before = await now();
    await blockferry('abort', 'testvm', 'vda', '--keep');
    expect(await now()).toBe(before);
    expect(await backingChain('held.qcow2')).toEqual(['held.qcow2', 'snap1.qcow2', 'base.qcow2']);
  });

  it('--pivot once it is ready: ours is `pivot`', async () => {
    await blockferry('move', 'testvm', 'vda', at('pivoted.qcow2'), '--shallow', '--hold');
    await blockferry('pivot', 'testvm', 'vda');
    expect(await now()).toBe(at('pivoted.qcow2'));
    expect(await source('--inactive')).toBe(at('pivoted.qcow2'));
  });

  it('--wait --verbose --pivot are what `move` does anyway; --finish beside --pivot is told what it is called here', async () => {
    const words = [
      'move',
      'testvm',
      'vda',
      at('waited.qcow2'),
      '--shallow',
      '--wait',
      '--verbose',
      '--pivot',
    ];
    const refused = await inProcess(where, ...words, '--finish');
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining('abort DOMAIN DISK --keep')]);
    const { out } = await blockferry(...words);
    expect(out).toContain(`moved: testvm vda runs on ${at('waited.qcow2')}`);
  });

  it('undefine, blockcopy, define, for a libvirt that asks for it: ours is `move --no-transient-job`', async () => {
    const before = (await host.virsh('dumpxml', '--inactive', 'testvm')).replaceAll(at('waited.qcow2'), '');
    const words = ['move', 'testvm', 'vda', at('danced.qcow2'), '--shallow', '--no-transient-job', '--json'];
    const steps = (await blockferry(...words)).out;
    for (const step of ['undefine', 'restore-definition']) expect(steps).toContain(`"step":"${step}"`);
    expect((await host.virsh('dumpxml', '--inactive', 'testvm')).replaceAll(at('danced.qcow2'), '')).toBe(
      before,
    );
  });
});

describe('primarily useful for different use cases of storage migration', () => {
  it('Live disk storage migration, the whole chain: ours is `move` into a directory', async () => {
    await mkdir(at('elsewhere'));
    const said = await blockferry('move', 'testvm', 'vda', at('elsewhere/'), '--json');
    expect(lastLine(said)).toMatchObject({ outcome: 'moved', runsOn: at('elsewhere/danced.qcow2') });
    expect(await backingChain('elsewhere/danced.qcow2')).toEqual([
      'danced.qcow2',
      'snap1.qcow2',
      'base.qcow2',
    ]);
  });

  it('Live backup of a disk image and its associated backing chain: ours is `backup`', async () => {
    await guest.waitForWrites(10);
    const before = await guest.acknowledged();
    await blockferry('backup', 'testvm', at('backups'));
    await blockferry('backup', 'verify', at('backups'));
    expect(await source()).toBe(at('elsewhere/danced.qcow2'));
    const point = (await readdir(at('backups'))).find((name) => !name.startsWith('.')) ?? '';
    const top = join('backups', point, 'vda.qcow2');
    expect(await backingChain(top)).toEqual(['vda.qcow2', 'vda-1.qcow2', 'vda-2.qcow2']);
    const image = { path: at(top), format: 'qcow2' } as const;
    expect((await verifyAcknowledged(image, before)).lost).toEqual([]);
  });

  it('nova image-create, a live snapshot: ours is `image`', async () => {
    await guest.waitForWrites(10);
    const before = await guest.acknowledged();
    await blockferry('image', 'testvm', at('image.qcow2'), '--compress');
    expect(await source()).toBe(at('elsewhere/danced.qcow2'));
    expect(await backingChain('image.qcow2')).toEqual(['image.qcow2']);
    const image = { path: at('image.qcow2'), format: 'qcow2' } as const;
    expect((await verifyAcknowledged(image, before)).lost).toEqual([]);
  });

  it('snapshot-create-as, blockcopy, blockcommit one by one: the first stays virsh, then ours are `move` and `commit`', async () => {
    const beside = ['--disk-only', '--no-metadata', '--diskspec', `vda,file=${at('overlay.qcow2')}`];
    await host.virsh('snapshot-create-as', 'testvm', ...beside);
    await mkdir(at('there'));
    await blockferry('move', 'testvm', 'vda', at('there/overlay.qcow2'), '--shallow');
    await blockferry('commit', 'testvm', 'vda', '--shallow', '--delete');
    expect(await source()).toBe(at('elsewhere/danced.qcow2'));
    await guest.waitForWrites(10);
    await guest.stop();
    const image = { path: at('elsewhere/danced.qcow2'), format: 'qcow2' } as const;
    expect((await verifyAcknowledged(image, await guest.acknowledged())).lost).toEqual([]);
  });
});
