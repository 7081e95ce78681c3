// Strategy `layered` to destinations that hold one image: block devices and NBD exports.
import { readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainXml } from '@blockferry/libvirt';
import {
  fileAt,
  loopDevice,
  type MovingGuest,
  type NbdServer,
  nbdServer,
  type Place,
  run,
  startIdle,
  startLibvirtHost,
  startMovingGuest,
} from '@blockferry/testbed';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { runMove } from '../run/run-move.ts';

let vm: MovingGuest;
let images: string;
let server: NbdServer | undefined;
let home = 0;
const at = (name: string) => join(images, name);

beforeAll(async () => {
  const host = await startLibvirtHost();
  images = host.imagesDir;
  vm = await startMovingGuest(host);
});
afterAll(async () => {
  await vm?.mover.close();
  await vm?.host.stop();
  await server?.stop();
});

/** A device that held something else before. */
async function device(name: string, bytes: bigint): Promise<string> {
  await run(['sh', '-c', 'head -c "$2" /dev/zero | tr "\\0" "\\377" > "$1"', 'sh', at(name), String(bytes)]);
  return (await loopDevice(vm.host, at(name))).device;
}

function deviceAt(path: string, size?: bigint): Place {
  const file = { driver: 'host_device', filename: path };
  const slice = size === undefined ? {} : { offset: 0, size: Number(size) };
  return { source: path, format: 'raw', image: { node: { driver: 'raw', ...slice, file } } };
}

const layered = { strategy: 'layered', scope: 'flatten' } as const;

async function slicesOf(...which: readonly string[]): Promise<readonly bigint[]> {
  const xml = DomainXml.parse(await vm.host.virsh('dumpxml', vm.name, ...which));
  return xml.disk('vda')?.slices.map(({ size }) => size) ?? [];
}

const ours = async () => (await readdir(images)).filter((name) => /blockferry|overlay|carrier/.test(name));

/** Back to files, for the next test. */
afterEach(async () => {
  expect(await ours()).toEqual([]);
  const source = DomainXml.parse(await vm.host.virsh('dumpxml', vm.name)).disk('vda')?.source;
  if (source?.kind === 'file') return;
  home += 1;
  const path = at(`home${home}.qcow2`);
  await vm.move({ destination: path, format: 'qcow2', scope: 'flatten', strategy: 'mirror' }, fileAt(path));
});

test('a chain becomes one image on a block device that held something else', async () => {
  const equal = await device('equal', vm.chain.size);
  const { warnings, steps } = await vm.move({ ...layered, destination: equal }, deviceAt(equal));
  // Once: its journal stands beside the carrier, and stays when that is made.
  expect(steps.filter((step) => step === 'copy-layers')).toEqual(['copy-layers']);
  expect(warnings.map(({ code }) => code)).toEqual(['destination-overwritten']);
  expect(await slicesOf()).toEqual([]);
});

test('of a larger device the guest sees as much as before, at the next boot too', async () => {
  const { size } = vm.chain;
  const larger = await device('larger', size + (16n << 20n));
  await vm.move({ ...layered, scope: 'chain', destination: larger }, deviceAt(larger, size));
  expect(await slicesOf()).toEqual([size]);
  expect(await slicesOf('--inactive')).toEqual([size]);
  await vm.guest.stop();
  await vm.guest.start();
  expect(await vm.host.virsh('domblkinfo', vm.name, 'vda')).toMatch(new RegExp(`Capacity: +${size}\n`));
});

test('without --flatten a chain is asked about; what is too small, or in use by another move, is refused', async () => {
  const ask = { domain: vm.name, disk: 'vda', ...layered } as const;
  await vm.move({ scope: 'flatten', destination: at('two.qcow2') }, fileAt(at('two.qcow2')));
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at('other.qcow2'), String(vm.chain.size)]);
  await startIdle(vm.host, {
    name: 'other',
    disks: [{ target: 'vda', path: at('other.qcow2'), format: 'qcow2' }],
  });
  const taken = await device('taken', vm.chain.size);
  const held = { ...ask, destination: taken, hold: true };
  expect((await vm.mover.move(held)).ending).toEqual({ kind: 'ready' });
  expect(await vm.mover.refusal({ ...held, domain: 'other' })).toMatchObject({
    code: 'destination-in-use',
  });
  const back = await vm.mover.change(vm.name, { goal: 'abort' });
  expect(back.ending.kind).toBe('back');
  await vm.proveWritesKept(fileAt(at('two.qcow2')).image);
  const small = await device('small', vm.chain.size - 512n);
  expect(await vm.mover.refusal({ ...ask, destination: small })).toMatchObject({ code: 'size-differs' });
  expect(await vm.mover.refusal({ ...ask, destination: taken, format: 'qcow2' })).toMatchObject({
    hint: expect.stringContaining('raw'),
  });
});

test('of two moves that were planned before either began, only one begins on a device, whatever it is called', async () => {
  const held = await device('held', vm.chain.size);
  await symlink(held, at('by-id'));
  const one = { domain: vm.name, disk: 'vda', ...layered, destination: held, hold: true } as const;
  const plans = [
    await vm.mover.plan(one),
    await vm.mover.plan({ ...one, domain: 'other', destination: at('by-id') }),
  ];
  const [first, second] = plans.map(({ move }) => move);
  if (first === undefined || second === undefined) throw new Error('two plans');
  const options = { signal: AbortSignal.timeout(60_000), report: () => {}, begins: true };
  expect((await runMove(vm.mover.context, first, options)).ending).toEqual({ kind: 'ready' });
  await expect(runMove(vm.mover.context, second, options)).rejects.toMatchObject({
    name: 'Refusal',
    code: 'destination-in-use',
  });
  expect((await vm.mover.change(vm.name, { goal: 'abort' })).ending.kind).toBe('back');
});

test('a domain that is off: to a larger device, and it starts from there', async () => {
  const { size } = vm.chain;
  const larger = await device('off', size + (8n << 20n));
  await vm.guest.stop();
  const ask = { domain: vm.name, disk: 'vda', ...layered, destination: larger } as const;
  expect((await vm.mover.move(ask)).ending.kind).toBe('moved');
  expect(await slicesOf('--inactive')).toEqual([size]);
  await vm.guest.start();
  await vm.proveWritesKept(deviceAt(larger, size).image);
});

test('a disk that is resized while it is copied stops before its switch and can go back; on the carrier it goes on with its old size', async () => {
  const { size } = vm.chain;
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at('grows.qcow2'), String(size)]);
  const disk = { target: 'vda', path: at('grows.qcow2'), format: 'qcow2' } as const;
  await startIdle(vm.host, { name: 'grows', disks: [disk] });
  const sizes = async () => /Capacity: +(\d+)/.exec(await vm.host.virsh('domblkinfo', 'grows', 'vda'))?.[1];
  const resize = (bytes: bigint) => vm.host.virsh('blockresize', 'grows', 'vda', `${bytes}B`);
  const ask = {
    domain: 'grows',
    disk: 'vda',
    ...layered,
    destination: await device('small-slice', size + (16n << 20n)),
  };
  const resized = { kind: 'interrupted', why: 'disk-resized' } as const;
  for (const after of ['copy-layers', 'finish-leg'] as const) {
    const stop = new AbortController();
    const { move } = await vm.mover.plan(ask);
    const { ending } = await runMove(vm.mover.context, move, {
      signal: stop.signal,
      report: () => {},
      afterStep: (step) => step === after && stop.abort(),
    });
    expect(ending.kind).toBe('stopped');
    await resize(2n * size);
    expect((await vm.mover.run(move)).ending).toMatchObject(resized);
    const back = await vm.mover.change('grows', { goal: 'abort' });
    if (after === 'copy-layers') {
      expect(back.ending.kind).toBe('back');
      expect(await sizes()).toBe(String(2n * size));
      await resize(size);
      continue;
    }
    expect(back.ending).toMatchObject(resized);
    await resize(size);
    expect((await vm.mover.change('grows', { goal: 'pivot' })).ending.kind).toBe('moved');
  }
  expect(await sizes()).toBe(String(size));
});

test('an NBD export, of the same size and larger', async () => {
  const { size } = vm.chain;
  for (const more of [0n, 8n << 20n]) {
    const path = at(`export${more}`);
    await run(['truncate', '-s', String(size + more), path]);
    server = await nbdServer({ path, export: 'vol' });
    const place: Place = { source: server.uri, format: 'raw', image: { path, format: 'raw' } };
    await vm.move({ ...layered, destination: server.uri }, place);
    const file = at(`from-export${more}.qcow2`);
    await vm.move({ destination: file, format: 'qcow2', scope: 'flatten', strategy: 'mirror' }, fileAt(file));
    await server.stop();
  }
});

test('a server that dies while the guest is on the carrier, and is back: who goes on next brings it to its end', async () => {
  const path = at('dies');
  await run(['truncate', '-s', String(vm.chain.size), path]);
  server = await nbdServer({ path, export: 'vol' });
  const ask = { domain: vm.name, disk: 'vda', ...layered, destination: server.uri } as const;
  const { move } = await vm.mover.plan(ask);
  const stop = new AbortController();
  const { ending } = await runMove(vm.mover.context, move, {
    signal: stop.signal,
    report: () => {},
    afterStep: (step) => step === 'finish-leg' && stop.abort(),
  });
  expect(ending.kind).toBe('stopped');
  await server.kill();
  const gone = await vm.mover.change(vm.name, { goal: 'abort' });
  expect(gone.ending).toMatchObject({ kind: 'interrupted', why: 'copy-failed' });
  expect(gone.steps.filter((step) => step === 'start-leg')).toHaveLength(1);
  await server.start();
  expect((await vm.mover.run(move)).ending).toEqual({ kind: 'moved' });
  await vm.proveWritesKept({ path, format: 'raw' });
  const file = at('from-dies.qcow2');
  await vm.move({ destination: file, format: 'qcow2', scope: 'flatten', strategy: 'mirror' }, fileAt(file));
  await server.stop();
});
