// Encrypted disks: moved with their secret, flattened and shallow, to and from plain places, and never in plain.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainXml } from '@blockferry/libvirt';
import {
  type Chain,
  guestWriter,
  type LibvirtHost,
  loopDevice,
  Mover,
  MovingGuest,
  makeChain,
  makeEncrypted,
  type Place,
  run,
  startGuest,
  startIdle,
  startLibvirtHost,
} from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { allocatedBytes } from '../inspect/index.ts';

const SECRET = '0aa7a40c-6d49-4c1b-9f51-7a1a6f3d1c55';
const PASSPHRASE = 'open sesame';
const OBJECT = `secret,id=key,data=${PASSPHRASE}`;
const KEY = `<encryption format='luks'><secret type='passphrase' uuid='${SECRET}'/></encryption>`;
/** Stands in the file system of the disk; whoever finds it in an image, finds it in plain. */
const MARK = 'never-to-be-read-in-plain';
const LUKS_QCOW2 = ['encrypt.format=luks', 'encrypt.key-secret=key', 'encrypt.iter-time=10'].join();

let host: LibvirtHost;
let chain: Chain;
let vm: MovingGuest;
const at = (name: string) => join(host.imagesDir, name);

beforeAll(async () => {
  host = await startLibvirtHost();
  await defineSecret();
  chain = await makeChain(host.imagesDir, ['base'], { files: { base: { '/mark': MARK } } });
  await encryptedCopy(chain.top.path, at('locked.qcow2'));
  await makeEncrypted(
    'create',
    '-q',
    '--object',
    OBJECT,
    '-f',
    'qcow2',
    '-o',
    LUKS_QCOW2,
    '-u',
    '-b',
    at('locked.qcow2'),
    '-F',
    'qcow2',
    at('over.qcow2'),
    String(chain.size),
  );
  const below = `<backingStore type='file'><format type='qcow2'/><source file='${at('locked.qcow2')}'>${KEY}</source><backingStore/></backingStore>`;
  const xml = `<source file='${at('over.qcow2')}'>${KEY}</source>${below}`;
  const guest = await startGuest(host, {
    name: 'vm',
    disks: [{ target: 'vda', format: 'qcow2', type: 'file', xml }],
    writers: [guestWriter('vda', { offset: chain.region.offset, length: 1n << 20n }, { rate: 200 })],
  });
  vm = new MovingGuest(host, guest, chain, new Mover(host));
});

afterAll(async () => {
  await vm?.mover.close();
  await host?.stop();
});

async function defineSecret(): Promise<void> {
  const file = join(host.directory, 'guest', 'secret.xml');
  await writeFile(
    file,
    `<secret private='no'><uuid>${SECRET}</uuid><description>disk</description></secret>`,
  );
  await host.virsh('secret-define', file);
  await host.virsh('secret-set-value', SECRET, '--base64', Buffer.from(PASSPHRASE).toString('base64'));
}

async function encryptedCopy(from: string, to: string): Promise<void> {
  await makeEncrypted('convert', '--object', OBJECT, '-O', 'qcow2', '-o', LUKS_QCOW2, from, to);
}

/** Where a disk in LUKS is, and how it is read with the secret; `backing`: what it shares. */
function lockedAt(path: string, format: 'qcow2' | 'raw', backing?: string): Place {
  const file = { driver: 'file', filename: path };
  const encrypt = { format: 'luks', 'key-secret': 'key' };
  const qcow2 = (filename: string) => ({ driver: 'qcow2', encrypt, file: { driver: 'file', filename } });
  const node =
    format === 'raw'
      ? { driver: 'luks', 'key-secret': 'key', file }
      : { ...qcow2(path), ...(backing !== undefined && { backing: qcow2(backing) }) };
  return { source: path, format, image: { node, objects: [OBJECT] } };
}

/** grep ends with 1 where nothing was found. */
const holdsMark = async (path: string) =>
  (await run(['grep', '-c', MARK, path], { accept: [0, 1] })).stdout.trim() !== '0';

const encryptionOf = async (...which: readonly string[]) => {
  const xml = DomainXml.parse(await host.virsh('dumpxml', vm.name, ...which));
  return xml.disk('vda')?.source?.encryption;
};

test('the mark is there to be found, where it is in plain', async () => {
  expect(await holdsMark(chain.top.path)).toBe(true);
  expect(await holdsMark(at('locked.qcow2'))).toBe(false);
});

test('the active image alone, over an encrypted base: with the same secret', async () => {
  const path = at('shallow.qcow2');
  await vm.move({ destination: path, scope: 'shallow' }, lockedAt(path, 'qcow2', at('locked.qcow2')));
  // Of the base too: the next boot would not find it in the headers.
  const definition = await host.virsh('dumpxml', vm.name, '--inactive');
  expect(definition.split(SECRET)).toHaveLength(3);
});

test('the whole chain as one qcow2 image: encrypted, sparse, and bootable', async () => {
  const path = at('flat.qcow2');
  const { move } = await vm.move({ destination: path, scope: 'flatten' }, lockedAt(path, 'qcow2'));
  expect(await holdsMark(path)).toBe(false);
  expect(await encryptionOf('--inactive')).toContain(SECRET);
  expect(await allocatedBytes(vm.mover.context, move)).toBeLessThan(chain.size / 2n);
  await vm.guest.stop();
  await vm.guest.start();
  await vm.proveWritesKept(lockedAt(path, 'qcow2').image);
});

test('as raw in LUKS, of which is said that it is allocated in full', async () => {
  const path = at('flat.luks');
  const { warnings } = await vm.move(
    { destination: path, scope: 'flatten', format: 'raw' },
    lockedAt(path, 'raw'),
  );
  expect(warnings.map(({ code }) => code)).toContain('fully-allocated');
  expect(await holdsMark(path)).toBe(false);
});

test('from raw in LUKS onto an image made with LUKS beforehand', async () => {
  const path = at('given.qcow2');
  await makeEncrypted(
    'create',
    '-q',
    '--object',
    OBJECT,
    '-f',
    'qcow2',
    '-o',
    LUKS_QCOW2,
    path,
    String(chain.size),
  );
  await vm.move({ destination: path, format: 'qcow2', reuseExternal: true }, lockedAt(path, 'qcow2'));
  expect(await holdsMark(path)).toBe(false);
});

test('refused: whatever would be plain', async () => {
  const refusal = async (ask: object) =>
    (await vm.mover.refusal({ domain: vm.name, disk: 'vda', scope: 'flatten', ...ask })).code;
  const plainXml = `<disk type='file'><driver name='qemu' type='qcow2'/><source file='${at('x.qcow2')}'/></disk>`;
  expect(await refusal({ destinationXml: plainXml })).toBe('encrypted');
  await run(['qemu-img', 'create', '-q', '-f', 'qcow2', at('plain.qcow2'), String(chain.size)]);
  expect(await refusal({ destination: at('plain.qcow2'), reuseExternal: true })).toBe('encrypted');
  await run(['truncate', '-s', String(chain.size), at('device')]);
  const { device } = await loopDevice(host, at('device'));
  expect(await refusal({ destination: device })).toBe('destination-unusable');
  await host.virsh('pool-create-as', 'pool', 'dir', '--target', host.imagesDir);
  const toPool = { destination: 'pool:pool/x' } as const;
  expect(await refusal({ ...toPool, strategy: 'mirror' })).toBe('encrypted');
  // In layers it is a file like any other.
  const { move } = await vm.mover.plan({ ...toPool, domain: vm.name, disk: 'vda', strategy: 'auto' });
  expect(move).toMatchObject({
    strategy: 'layered',
    destination: { source: { encryption: expect.stringContaining(SECRET) } },
  });
});

test('a plain disk into LUKS, by the operator’s own XML; an image with LUKS is not taken for a plain one', async () => {
  await startIdle(host, { name: 'plain', disks: [{ target: 'vda', format: 'qcow2', path: chain.top.path }] });
  const ask = { domain: 'plain', disk: 'vda', scope: 'flatten' } as const;
  await makeEncrypted(
    'create',
    '-q',
    '--object',
    OBJECT,
    '-f',
    'qcow2',
    '-o',
    LUKS_QCOW2,
    at('other.qcow2'),
    String(chain.size),
  );
  expect(
    await vm.mover.refusal({ ...ask, destination: at('other.qcow2'), reuseExternal: true }),
  ).toMatchObject({ code: 'encrypted' });
  const into = at('into.qcow2');
  const destinationXml = `<disk type='file'><driver name='qemu' type='qcow2'/><source file='${into}'>${KEY}</source></disk>`;
  expect((await vm.mover.move({ ...ask, destinationXml })).ending).toEqual({ kind: 'moved' });
  const { source } = DomainXml.parse(await host.virsh('dumpxml', '--inactive', 'plain')).disk('vda') ?? {};
  expect(source).toMatchObject({ path: into, encryption: expect.stringContaining(SECRET) });
  expect(await holdsMark(into)).toBe(false);
});
