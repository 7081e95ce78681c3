// A chain in LUKS is moved in layers: byte for byte, opened by the same secret, which nobody else gets to see; of a
// guest that runs and of a domain that is off.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainXml } from '@blockferry/libvirt';
import { type Host, localHost } from '@blockferry/qemu';
import {
  type Chain,
  guestWriter,
  type LibvirtHost,
  Mover,
  MovingGuest,
  makeChain,
  makeEncrypted,
  type Place,
  removeIdle,
  run,
  startGuest,
  startIdle,
  startLibvirtHost,
} from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';

const SECRET = '0aa7a40c-6d49-4c1b-9f51-7a1a6f3d1c55';
const PRIVATE = '1aa7a40c-6d49-4c1b-9f51-7a1a6f3d1c55';
const PASSPHRASE = 'open sesame';
const BASE64 = Buffer.from(PASSPHRASE).toString('base64');
const OBJECT = `secret,id=key,data=${PASSPHRASE}`;
const keyOf = (uuid: string) =>
  `<encryption format='luks'><secret type='passphrase' uuid='${uuid}'/></encryption>`;
/** Stands in the file system of the disk; whoever finds it in an image, finds it in plain. */
const MARK = 'never-to-be-read-in-plain';
const LUKS = ['encrypt.format=luks', 'encrypt.key-secret=key', 'encrypt.iter-time=10'].join();

let host: LibvirtHost;
let chain: Chain;
let mover: Mover;
/** Every command line that was run on the host. */
const commandLines: string[] = [];
const at = (name: string) => join(host.imagesDir, name);
const virsh = (...args: readonly string[]) => host.virsh(...args);

beforeAll(async () => {
  host = await startLibvirtHost();
  mover = new Mover(host, { tools: listening(localHost()) });
  await defineSecret(SECRET, 'no');
  await defineSecret(PRIVATE, 'yes');
  chain = await makeChain(host.imagesDir, ['plain'], { files: { plain: { '/mark': MARK } } });
  await run(['mkdir', ...['new', 'off', 'never'].map(at)]);
  await makeEncrypted('convert', '--object', OBJECT, '-O', 'qcow2', '-o', LUKS, chain.top.path, at('base'));
  await over('top', 'base');
  await over('cold', 'base');
});

afterAll(async () => {
  await mover?.close();
  await host?.stop();
});

async function defineSecret(uuid: string, isPrivate: 'yes' | 'no'): Promise<void> {
  const file = join(host.directory, 'guest', 'secret.xml');
  await writeFile(file, `<secret private='${isPrivate}'><uuid>${uuid}</uuid></secret>`);
  await virsh('secret-define', file);
  await virsh('secret-set-value', uuid, '--base64', BASE64);
}

async function over(name: string, base: string): Promise<void> {
  const backing = ['-u', '-b', at(base), '-F', 'qcow2'];
  const how = ['--object', OBJECT, '-f', 'qcow2', '-o', LUKS, ...backing];
  await makeEncrypted('create', '-q', ...how, at(name), String(chain.size));
}

/** The same host, of which is remembered what was run there; images in LUKS are made so that they are opened quickly. */
function listening(tools: Host): Host {
  const quick = (word: string) =>
    word.includes('encrypt.format=luks') ? `${word},encrypt.iter-time=10` : word;
  return new Proxy(tools, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (first: unknown, ...rest: unknown[]) => {
        if (name !== 'run' && name !== 'spawn') return value.apply(target, [first, ...rest]);
        const argv = (first as readonly string[]).map(quick);
        commandLines.push(argv.join(' '));
        return value.apply(target, [argv, ...rest]);
      };
    },
  });
}

/** As libvirt needs it told: headers do not name secrets. */
const diskOf = (top: string, uuid = SECRET) =>
  `<source file='${at(top)}'>${keyOf(uuid)}</source><backingStore type='file'><format type='qcow2'/><source file='${at('base')}'>${keyOf(uuid)}</source><backingStore/></backingStore>`;

const ask = { disk: 'vda', strategy: 'layered', scope: 'chain' } as const;

function lockedAt(top: string, base: string): Place {
  const encrypt = { format: 'luks', 'key-secret': 'key' };
  const node = (filename: string) => ({ driver: 'qcow2', encrypt, file: { driver: 'file', filename } });
  const image = { node: { ...node(top), backing: node(base) }, objects: [OBJECT] };
  return { source: top, format: 'qcow2', image };
}

/** grep ends with 1 where nothing was found. */
const finds = async (what: string, ...where: readonly string[]) =>
  (await run(['grep', '-rlaF', '-e', what, ...where], { accept: [0, 1] })).stdout.trim();

/** The UUID of its LUKS header: nobody makes the same one twice. */
async function headerOf(name: string): Promise<string> {
  const { stdout } = await run(['qemu-img', 'info', '-U', '--output=json', at(name)]);
  const uuid = /"uuid": "([^"]+)"/.exec(stdout)?.[1];
  if (uuid === undefined) throw new Error(`${name} has no LUKS header: ${stdout}`);
  return uuid;
}

test('a guest on a chain moves on with it; the secret is in no list of processes, record, journal or report', async () => {
  const guest = await startGuest(host, {
    name: 'vm',
    disks: [{ target: 'vda', format: 'qcow2', type: 'file', xml: diskOf('top') }],
    writers: [guestWriter('vda', { offset: chain.region.offset, length: 1n << 20n }, { rate: 200 })],
  });
  const vm = new MovingGuest(host, guest, chain, mover);
  const held = await mover.move({ ...ask, domain: 'vm', destination: at('new/'), hold: true });
  expect(held.ending).toEqual({ kind: 'ready' });
  expect(held.warnings.map(({ code }) => code)).toContain('luks-pause');
  const shown = `${await virsh('dumpxml', 'vm')}${JSON.stringify(held, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value))}`;
  expect(shown).toContain(held.move.id);
  for (const secret of [PASSPHRASE, BASE64]) {
    expect(shown).not.toContain(secret);
    expect(commandLines.join('\n')).not.toContain(secret);
    expect(await finds(secret, host.imagesDir, mover.stateDirectory)).toBe('');
  }
  expect(commandLines.join('\n')).toContain(SECRET);
  // What holds the guest's writes meanwhile is encrypted as well.
  const { overlay, carrier } = held.move.layered ?? {};
  for (const image of [overlay, carrier]) {
    const { source } = image ?? {};
    if (source?.kind !== 'file') throw new Error('an overlay is a file');
    expect(await readFile(source.path, { encoding: 'latin1' })).toContain('LUKS');
  }
  const done = await mover.change('vm', { goal: 'pivot' });
  expect(done.ending).toEqual({ kind: 'moved' });
  const place = lockedAt(at('new/top'), at('new/base'));
  await vm.proveWritesKept(place.image);
  expect(await finds(MARK, at('new'))).toBe('');
  expect(await Promise.all(['new/top', 'new/base'].map(headerOf))).toEqual(
    await Promise.all(['top', 'base'].map(headerOf)),
  );
  await guest.stop();
  await guest.start();
  const after = DomainXml.parse(await virsh('dumpxml', 'vm')).disk('vda')?.chain ?? [];
  expect(after.map(({ source }) => (source.kind === 'file' ? source.path : ''))).toEqual(
    ['new/top', 'new/base'].map(at),
  );
  await vm.proveWritesKept(place.image);
  await guest.stop();
});

test('of a domain that is off too, which then starts on the copies', async () => {
  await startIdle(host, { name: 'idle', disks: [idleDisk('cold')], as: 'off' });
  const { ending } = await mover.move({ ...ask, domain: 'idle', destination: at('off/') });
  expect(ending).toEqual({ kind: 'moved' });
  await virsh('start', '--paused', 'idle');
  const { source } = DomainXml.parse(await virsh('dumpxml', 'idle')).disk('vda') ?? {};
  expect(source).toMatchObject({ path: at('off/cold'), encryption: expect.stringContaining(SECRET) });
  expect(await finds(MARK, at('off'))).toBe('');
  await removeIdle(host, 'idle');
});

const idleDisk = (top: string, uuid = SECRET) =>
  `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>${diskOf(top, uuid)}<target dev='vda' bus='virtio'/></disk>`;

test('refused, or left to the mirror: a secret that libvirt tells nobody, and one image of the chain', async () => {
  await startIdle(host, { name: 'private', disks: [idleDisk('cold', PRIVATE)] });
  const refused = await mover.refusal({ ...ask, domain: 'private', destination: at('x') });
  expect(refused).toMatchObject({ code: 'encrypted', hint: expect.stringContaining('--flatten') });
  const flatten = { domain: 'private', disk: 'vda', destination: at('x'), scope: 'flatten' } as const;
  expect(await mover.refusal({ ...flatten, strategy: 'layered' })).toMatchObject({ code: 'encrypted' });
  const { move } = await mover.plan({ ...flatten, strategy: 'auto' });
  expect(move.strategy).toBe('mirror');
  expect(move.destination.source).toMatchObject({ encryption: expect.stringContaining(PRIVATE) });
  await virsh('secret-undefine', PRIVATE);
  const gone = await mover.refusal({ ...flatten, strategy: 'mirror' });
  expect(gone).toMatchObject({ code: 'encrypted', hint: expect.stringContaining('secret-define') });
  await removeIdle(host, 'private');
});

test('refused: a secret whose passphrase was changed since the domain started, which would show at the switch', async () => {
  await startIdle(host, { name: 'changed', disks: [idleDisk('cold')] });
  const set = (value: string) =>
    virsh('secret-set-value', SECRET, '--base64', Buffer.from(value).toString('base64'));
  await set('another');
  const refused = await mover.refusal({ ...ask, domain: 'changed', destination: at('never/x') });
  expect(refused).toMatchObject({ code: 'encrypted', message: expect.stringContaining(at('cold')) });
  await removeIdle(host, 'changed');
});
