// RBD images of a real Ceph as destinations and as sources: made by us, made beforehand, refused, and undone.
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainXml } from '@blockferry/libvirt';
import { type Host, localHost, type RunOptions } from '@blockferry/qemu';
import {
  type CephCluster,
  fileAt,
  Mover,
  type MovingGuest,
  type Place,
  run,
  startCeph,
  startIdle,
  startLibvirtHost,
  startMovingGuest,
} from '@blockferry/testbed';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allocatedBytes } from '../inspect/index.ts';

let vm: MovingGuest;
let ceph: CephCluster;
let images: string;

beforeAll(async () => {
  const host = await startLibvirtHost();
  images = host.imagesDir;
  [vm, ceph] = await Promise.all([
    startMovingGuest(host, { chain: { size: 256n << 20n } }),
    startCeph({ parent: host.directory }),
  ]);
});

afterAll(async () => {
  await vm?.mover.close();
  await vm?.host.stop();
  await ceph?.stop();
});

const rbdAt = (name: string): Place => {
  return { source: `rbd:rbd/${name}`, format: 'raw', image: { node: rawNode(name) } };
};
const rawNode = (name: string) => ({ driver: 'raw', file: ceph.node(name) });

const qemuIo = (name: string, ...commands: readonly string[]) => {
  const argv = ['qemu-io', ...commands.flatMap((one) => ['-c', one])];
  return run([...argv, `json:${JSON.stringify(rawNode(name))}`]);
};

/** The same host, as it is where Ceph's own programs are not installed. */
function withoutRbd(host: Host): Host {
  return new Proxy(host, {
    get(target, name) {
      if (name !== 'run') {
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      }
      return (argv: readonly string[], options?: RunOptions) =>
        target.run(argv[0] === 'rbd' ? ['no-such-rbd', ...argv.slice(1)] : argv, options);
    },
  });
}

const sizeOf = async (name: string): Promise<number> => {
  const { stdout } = await ceph.rbd('info', '--format', 'json', `rbd/${name}`);
  return (JSON.parse(stdout) as { readonly size: number }).size;
};

const asked = (name: string) =>
  ({ domain: vm.name, disk: 'vda', destination: ceph.uri(name), scope: 'flatten' }) as const;

describe('an image that we make', () => {
  test('holds no chain: without --flatten it is refused, and says so', async () => {
    for (const strategy of ['auto', 'layered'] as const) {
      const ask = { ...asked('web'), scope: 'chain', strategy } as const;
      expect(await vm.mover.refusal(ask)).toMatchObject({
        code: 'choose-scope',
        message: 'rbd:rbd/web holds one image, and the chain of 3 images of vda would become one',
        hint: expect.stringContaining('--flatten'),
      });
    }
    expect(await ceph.images()).toEqual([]);
  });

  test('of a chain of local qcow2 files: one raw image of the right size, sparse', async () => {
    const { move } = await vm.move(asked('web'), rbdAt('web'));
    expect(move.ownership).toMatchObject({ kind: 'rbd-image', claimed: true });
    expect(BigInt(await sizeOf('web'))).toBe(vm.chain.size);
    const allocated = await ceph.allocated('web');
    expect(allocated).toBeLessThan(vm.chain.size / 2n);
    expect(await allocatedBytes(vm.mover.context, move)).toBe(allocated);
  });

  test('from one image to another, described by XML, its cluster named by a monitor', async () => {
    const destinationXml = `<disk type='network'><driver name='qemu' type='raw'/>${ceph.sourceXml('two')}</disk>`;
    await vm.move({ destinationXml }, rbdAt('two'));
    expect(await ceph.allocated('two')).toBeLessThan(vm.chain.size / 2n);
  });

  test('and the next boot is from it', async () => {
    await vm.guest.stop();
    await vm.guest.start();
    await vm.proveWritesKept(rbdAt('two').image);
  });

  test('abort removes it, and the same command then works', async () => {
    expect((await vm.mover.move({ ...asked('undone'), hold: true })).ending).toEqual({ kind: 'ready' });
    expect(await ceph.images()).toContain('undone');
    expect((await vm.mover.change(vm.name, { goal: 'abort' })).ending).toMatchObject({ kind: 'back' });
    expect(await ceph.images()).not.toContain('undone');
    await vm.move(asked('undone'), rbdAt('undone'));
  });

  test('one that somebody else makes in the meantime is not touched, and abort leaves it', async () => {
    const { move } = await vm.mover.plan(asked('contended'));
    await ceph.createImage('contended', 1n << 20n);
    expect((await vm.mover.run(move)).ending).toEqual({ kind: 'interrupted', why: 'destination-taken' });
    expect((await vm.mover.change(vm.name, { goal: 'abort' })).ending.kind).toBe('back');
    expect(await sizeOf('contended')).toBe(1 << 20);
  });

  test('where the host has no rbd program it stays, and that is said with the command that removes it', async () => {
    const here = localHost();
    await using poor = new Mover(vm.host, { tools: withoutRbd(here) });
    expect((await poor.move({ ...asked('stays'), hold: true })).ending).toEqual({ kind: 'ready' });
    const { ending, warnings } = await poor.change(vm.name, { goal: 'abort' });
    expect(ending.kind).toBe('back');
    expect(warnings).toMatchObject([
      { code: 'copy-not-removable', message: expect.stringContaining('rm --pool rbd --image stays') },
    ]);
    expect(await ceph.images()).toContain('stays');
    const ask = { ...asked('stays'), reuseExternal: true };
    expect((await poor.plan(ask)).warnings.map(({ code }) => code)).toContain('use-unknown');
    await ceph.rbd('rm', 'rbd/stays');
  });

  test('a move that was held is finished by another process', async () => {
    expect((await vm.mover.move({ ...asked('handed-on'), hold: true })).ending).toEqual({ kind: 'ready' });
    await using other = new Mover(vm.host);
    expect((await other.change(vm.name, { goal: 'pivot' })).ending).toEqual({ kind: 'moved' });
    await vm.proveWritesKept(rbdAt('handed-on').image);
  });

  test('back to a local qcow2 file, which holds no more than it must', async () => {
    const path = join(images, 'back.qcow2');
    const { move } = await vm.move({ destination: path, format: 'qcow2' }, fileAt(path));
    expect(await allocatedBytes(vm.mover.context, move)).toBeLessThan(vm.chain.size / 2n);
  });
});

describe('an image made beforehand', () => {
  test('is written over whole, and stays when the move is undone', async () => {
    const { size } = vm.chain;
    await ceph.createImage('given', size);
    await qemuIo('given', 'write -P 85 0 64M', `write -P 85 ${size - (1n << 20n)} 1M`);
    const ask = { ...asked('given'), reuseExternal: true };
    expect((await vm.mover.move({ ...ask, hold: true })).ending).toEqual({ kind: 'ready' });
    expect((await vm.mover.change(vm.name, { goal: 'abort' })).ending.kind).toBe('back');
    expect(await ceph.images()).toContain('given');
    await vm.move(ask, rbdAt('given'));
    const { stdout } = await qemuIo('given', `read -P 0 ${size - (1n << 20n)} 1M`);
    expect(stdout).not.toMatch(/verification failed/i);
    expect(await ceph.allocated('given')).toBeLessThan(size / 2n);
  });

  test('of a larger one the guest sees as much as before', async () => {
    const { size } = vm.chain;
    await ceph.createImage('larger', size + (16n << 20n));
    const place = {
      ...rbdAt('larger'),
      image: { node: { ...rawNode('larger'), offset: 0, size: Number(size) } },
    };
    await vm.move({ ...asked('larger'), reuseExternal: true }, place);
    const config = DomainXml.parse(await vm.host.virsh('dumpxml', '--inactive', vm.name));
    expect(config.disk('vda')?.slices).toEqual([{ offset: 0n, size }]);
  });

  test('and back', async () => {
    const path = join(images, 'again.qcow2');
    await vm.move({ destination: path, format: 'qcow2' }, fileAt(path));
  });
});

describe('refused, with nothing touched:', () => {
  const refusal = async (ask: Parameters<Mover['refusal']>[0]) => (await vm.mover.refusal(ask)).code;

  test('one that is there, one of another size, one that is not there but to be reused', async () => {
    await ceph.createImage('there', vm.chain.size - (1n << 20n));
    expect(await refusal(asked('there'))).toBe('destination-exists');
    expect(await refusal({ ...asked('there'), reuseExternal: true })).toBe('size-differs');
    expect(await refusal({ ...asked('none'), reuseExternal: true })).toBe('destination-missing');
    expect(await ceph.images()).not.toContain('none');
  });

  test('one that somebody has open or has locked', async () => {
    await ceph.createImage('busy', vm.chain.size);
    await ceph.rbd('lock', 'add', 'rbd/busy', 'mine');
    const ask = { ...asked('busy'), reuseExternal: true };
    expect(await vm.mover.refusal(ask)).toMatchObject({
      code: 'destination-in-use',
      message: expect.stringContaining('locked'),
    });
    const { stdout } = await ceph.rbd('lock', 'ls', '--format', 'json', 'rbd/busy');
    const [lock] = JSON.parse(stdout) as readonly { readonly id: string; readonly locker: string }[];
    await ceph.rbd('lock', 'rm', 'rbd/busy', 'mine', lock?.locker ?? '');
    const daemon = `${ceph.directory}/busy.pid`;
    const node = JSON.stringify({ ...ceph.node('busy'), 'node-name': 'b' });
    await run(['qemu-storage-daemon', '--daemonize', '--pidfile', daemon, '--blockdev', node]);
    try {
      expect(await vm.mover.refusal(ask)).toMatchObject({
        code: 'destination-in-use',
        message: expect.stringContaining('open'),
      });
    } finally {
      await run(['sh', '-c', `kill "$(cat ${daemon})"`]);
    }
  });

  test('an image of another domain that is off, however its cluster is named', async () => {
    await ceph.createImage('others', vm.chain.size);
    const disk = { target: 'vda', format: 'raw', type: 'network', xml: ceph.sourceXml('others') } as const;
    await startIdle(vm.host, { name: 'other', disks: [disk], as: 'off' });
    expect(await refusal({ ...asked('others'), reuseExternal: true })).toBe('destination-in-use');
  });

  test('what an RBD image cannot be, and what libvirt cannot name', async () => {
    expect(await refusal({ ...asked('x'), format: 'qcow2' })).toBe('unsupported-format');
    const at = (place: string) => refusal({ ...asked('x'), destination: `rbd:${place}:conf=${ceph.conf}` });
    expect(await at('none/x')).toBe('no-such-pool');
    expect(await at('rbd/space/x')).toBe('unsupported-storage');
    expect(await at('rbd/x@snap')).toBe('bad-destination');
    expect(await at('rbd/x:id=somebody')).toBe('bad-destination');
  });

  test('a configuration that QEMU may not read', async () => {
    const conf = join(images, 'private.conf');
    await copyFile(ceph.conf, conf);
    await run(['chmod', '600', conf]);
    const destination = `rbd:rbd/x:conf=${conf}`;
    expect(await refusal({ ...asked('x'), destination })).toBe('destination-unreachable');
  });

  test('a Ceph that does not answer: its OSDs paused, its monitor dead', async () => {
    await ceph.pause();
    expect(await refusal(asked('silent'))).toBe('destination-silent');
    await ceph.resume();
    await ceph.killMonitor();
    expect(await refusal(asked('silent'))).toBe('destination-silent');
    await ceph.startMonitor();
    await vm.guest.waitForWrites(50);
  });
});
