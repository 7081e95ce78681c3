// What preflight refuses, with everything left exactly as it was: definitions, jobs, files, the times of directories.
// The command line's test of refusals has those that can be asked for with a few words; here are the others.
import { access, copyFile, link, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import {
  type Ask,
  footprint,
  type LibvirtHost,
  loopDevice,
  Mover,
  makeEncrypted,
  run,
  startIdle,
  startLibvirtHost,
} from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';

const SIZE = 16n << 20n;
const SECRET = '0aa7a40c-6d49-4c1b-9f51-7a1a6f3d1c55';

let host: LibvirtHost;
let mover: Mover;
/** Tools nowhere, as over TLS. */
let blind: Mover;
let larger: string;
const server = createServer();
const at = (name: string) => join(host.imagesDir, name);

beforeAll(async () => {
  host = await startLibvirtHost();
  mover = new Mover(host);
  blind = new Mover(host, { tools: 'none' });
  await makeImages();
  await makeDomains();
  await makeDestinations();
});

afterAll(async () => {
  server.close();
  await mover.close();
  await blind.close();
  await host.stop();
});

async function create(name: string, ...more: readonly string[]): Promise<void> {
  await makeEncrypted('create', '-q', '-f', 'qcow2', ...more, at(name), String(SIZE));
}

const over = (base: string, format = 'qcow2') => ['-u', '-b', at(base), '-F', format];

async function makeImages(): Promise<void> {
  for (const name of ['base', 'single', 'passing', 'off-base', 'volume', 'direct', 'saved', 'told-base'])
    await create(`${name}.qcow2`);
  await create('told.qcow2', ...over('base.qcow2'));
  await create('cut.qcow2', ...over('base.qcow2'));
  await create('split.qcow2', '-o', `data_file=${at('split.data')},data_file_raw=on`);
  // libvirt 9.0 leaves it to its owner.
  await run(['chmod', '666', at('split.data')]);
  await create('fetched.qcow2', ...over('base.qcow2'));
  await create('top.qcow2', ...over('base.qcow2'));
  await create('off.qcow2', ...over('off-base.qcow2'));
  const secret = ['--object', 'secret,id=key,data=open sesame'];
  const luks = ['encrypt.format=luks', 'encrypt.key-secret=key', 'encrypt.iter-time=10'].join();
  await create('locked.qcow2', ...secret, '-o', luks);
  await create('plain-over-locked.qcow2', ...over('locked2.qcow2'));
  for (const copy of ['locked2.qcow2', 'locked3.qcow2']) await copyFile(at('locked.qcow2'), at(copy));
}

async function makeDomains(): Promise<void> {
  const secret = `<secret private='no'><uuid>${SECRET}</uuid><description>disk</description></secret>`;
  await writeFile(join(host.directory, 'guest', 'secret.xml'), secret);
  await host.virsh('secret-define', join(host.directory, 'guest', 'secret.xml'));
  await host.virsh('secret-set-value', SECRET, '--base64', Buffer.from('open sesame').toString('base64'));
  await host.virsh('pool-create-as', 'pool', 'dir', '--target', host.imagesDir);
  const qcow2 = (target: string, name: string, extraXml = '') => {
    return { target, path: at(name), format: 'qcow2' as const, extraXml };
  };
  const key = `<encryption format='luks'><secret type='passphrase' uuid='${SECRET}'/></encryption>`;
  const locked = `<source file='${at('locked.qcow2')}'>${key}</source>`;
  const below = `<backingStore type='file'><format type='qcow2'/><source file='${at('locked2.qcow2')}'>${key}</source></backingStore>`;
  const volume = `<source pool='pool' volume='volume.qcow2'/>`;
  await startIdle(host, {
    name: 'vm',
    disks: [
      qcow2('vda', 'top.qcow2'),
      qcow2('vdb', 'single.qcow2'),
      { target: 'vdc', format: 'qcow2', type: 'file', xml: locked },
      qcow2('vdd', 'plain-over-locked.qcow2', below),
      qcow2('vde', 'passing.qcow2', '<transient/>'),
      { target: 'vdf', format: 'qcow2', type: 'volume', xml: volume },
      { ...qcow2('vdg', 'direct.qcow2'), driver: { cache: 'none' } },
    ],
  });
  const other = `<backingStore type='file'><format type='qcow2'/><source file='${at('told-base.qcow2')}'/><backingStore/></backingStore>`;
  await startIdle(host, {
    name: 'odd',
    disks: [
      qcow2('vda', 'told.qcow2', other),
      qcow2('vdb', 'cut.qcow2', '<backingStore/>'),
      qcow2('vdc', 'split.qcow2'),
      { ...qcow2('vdd', 'fetched.qcow2'), driver: { copy_on_read: 'on' } },
    ],
  });
  await startIdle(host, { name: 'saved', disks: [qcow2('vda', 'saved.qcow2')] });
  await host.virsh('managedsave', 'saved');
  await startIdle(host, { name: 'off', disks: [qcow2('vda', 'off.qcow2')], as: 'off' });
}

async function makeDestinations(): Promise<void> {
  await mkdir(at('ram'));
  await run(['mount', '-t', 'ramfs', 'ramfs', at('ram')]);
  // Nodes of our own; libvirt would unlink the one and hang on another.
  await run(['mknod', at('character'), 'c', '1', '3']);
  await new Promise<void>((resolve) => server.listen(at('socket'), resolve));
  await mkdir(at('directory'));
  await mkdir(at('directory/top.qcow2'));
  await symlink('nowhere', at('dangling'));
  await symlink('character', at('link-to-character'));
  await symlink('top.qcow2', at('link-to-top'));
  await symlink('off-base.qcow2', at('link-to-off-base'));
  await link(at('volume.qcow2'), at('other-name-of-volume'));
  await create('filled.qcow2', ...over('base.qcow2'));
  await run(['qemu-io', '-f', 'qcow2', '-c', 'write 1M 64k', at('filled.qcow2')]);
  await create('zeroed.qcow2', ...over('base.qcow2'));
  await run(['qemu-io', '-f', 'qcow2', '-c', 'write -z 1M 64k', at('zeroed.qcow2')]);
  await create('misread.qcow2', ...over('base.qcow2', 'raw'));
  await create('over-base.qcow2', ...over('base.qcow2'));
  await create('over-single.qcow2', ...over('single.qcow2'));
  await create('alone.qcow2');
  await run(['truncate', '-s', String(SIZE + 4096n), at('larger.raw')]);
  await run(['truncate', '-s', String(SIZE * 2n), at('larger.img')]);
  larger = (await loopDevice(host, at('larger.img'))).device;
}

const file = (path: string, more = '', type = 'qcow2') =>
  `<disk type='file'><driver name='qemu' type='${type}'/><source file='${path}'>${more}</source></disk>`;
const block = (path: string) =>
  `<disk type='block'><driver name='qemu' type='raw'/><source dev='${path}'/></disk>`;
const slice = "<slices><slice type='storage' offset='0' size='1048576'/></slices>";
const reuse = { reuseExternal: true };
const flat = { scope: 'flatten' } as const;
const odd = (disk: string) => ({ domain: 'odd', disk });
const raw = { ...flat, format: 'raw' };

test.each<[string, string, () => Partial<Ask>]>([
  [
    'encrypted',
    'LUKS, in XML that says nothing of it',
    () => ({ disk: 'vdc', destinationXml: file(at('x')), ...flat }),
  ],
  [
    'encrypted',
    'LUKS below a plain overlay, likewise',
    () => ({ disk: 'vdd', destinationXml: file(at('x')), ...flat }),
  ],
  ['encrypted', 'LUKS into a volume', () => ({ disk: 'vdc', destination: 'pool:pool/x', ...flat })],
  [
    'encrypted',
    'LUKS onto a plain image',
    () => ({ disk: 'vdc', destination: at('alone.qcow2'), ...flat, ...reuse }),
  ],
  [
    'encrypted',
    'an image with LUKS, and nobody says so',
    () => ({ disk: 'vdb', destination: at('locked3.qcow2'), ...flat, ...reuse }),
  ],
  [
    'destination-unusable',
    'LUKS onto a raw device without it',
    () => ({ disk: 'vdc', destination: larger, ...flat }),
  ],
  ['disk-transient', 'a disk that forgets', () => ({ disk: 'vde', destination: at('x') })],
  [
    'unsupported-storage',
    'a volume in XML',
    () => ({
      destinationXml: `<disk type='volume'><driver type='raw'/><source pool='pool' volume='x'/></disk>`,
      ...raw,
    }),
  ],
  [
    'unsupported-storage',
    'Gluster',
    () => ({
      destinationXml: `<disk type='network'><driver type='raw'/><source protocol='gluster' name='v/x'><host name='h'/></source></disk>`,
      ...raw,
    }),
  ],
  [
    'chain-differs',
    'a definition that has another base than the header',
    () => ({ ...odd('vda'), scope: 'chain', destination: at('directory/') }),
  ],
  ['chain-differs', 'likewise, to a mirror', () => ({ ...odd('vda'), destination: at('x') })],
  [
    'chain-differs',
    'a definition that ends the chain before the header does',
    () => ({ ...odd('vdb'), ...flat, destination: at('x') }),
  ],
  [
    'unsupported-format',
    'an external data file, which two headers would share',
    () => ({ ...odd('vdc'), strategy: 'layered', destination: at('x') }),
  ],
  [
    'copy-on-read',
    'a disk whose carrier could not be committed',
    () => ({ ...odd('vdd'), strategy: 'layered', destination: at('x') }),
  ],
  [
    'layered-makes-files',
    'layers of a chain into an image that is there',
    () => ({ ...raw, ...reuse, strategy: 'layered', scope: 'chain', destination: at('larger.raw') }),
  ],
  [
    'managed-save',
    'a domain that goes on from its images',
    () => ({ domain: 'saved', destination: at('x') }),
  ],
  ['not-a-file', 'a character device', () => ({ destination: at('character') })],
  [
    'not-a-file',
    'a character device, to be reused',
    () => ({ destination: at('character'), ...raw, ...reuse }),
  ],
  ['not-a-file', 'a link to one', () => ({ destination: at('link-to-character') })],
  ['not-a-file', 'a character device, in XML', () => ({ destinationXml: file(at('character')) })],
  ['not-a-file', 'a socket', () => ({ destination: at('socket') })],
  ['not-a-file', 'a directory, in XML', () => ({ destinationXml: file(at('directory')) })],
  ['not-a-file', 'a directory that has the name in a directory', () => ({ destination: at('directory') })],
  ['not-a-file', 'a block device as a file', () => ({ destinationXml: file(larger, '', 'raw'), ...flat })],
  [
    'not-a-block-device',
    'a file as a block device',
    () => ({ destinationXml: block(at('larger.raw')), ...flat }),
  ],
  ['destination-exists', 'a link that leads nowhere', () => ({ destination: at('dangling') })],
  [
    'destination-is-source',
    'the image itself by another name',
    () => ({ destination: at('link-to-top'), ...flat, ...reuse }),
  ],
  [
    'destination-in-use',
    'the base of a domain that is off, by another name',
    () => ({ destination: at('link-to-off-base'), ...flat, ...reuse }),
  ],
  [
    'destination-in-use',
    'the base of a domain that is off',
    () => ({ destination: at('off-base.qcow2'), ...flat, ...reuse }),
  ],
  [
    'destination-in-use',
    "a volume's file by its second name",
    () => ({ destination: at('other-name-of-volume'), ...flat, ...reuse }),
  ],
  [
    'destination-in-use',
    'a disk of the same domain',
    () => ({ destination: at('single.qcow2'), ...flat, ...reuse }),
  ],
  [
    'destination-not-empty',
    'an overlay with data of its own',
    () => ({ destination: at('filled.qcow2'), ...reuse }),
  ],
  [
    'destination-not-empty',
    'an overlay with zeros of its own',
    () => ({ destination: at('zeroed.qcow2'), ...reuse }),
  ],
  [
    'backing-differs',
    'an overlay that reads its base in another format',
    () => ({ destination: at('misread.qcow2'), ...reuse }),
  ],
  [
    'backing-differs',
    "an overlay of another disk's image",
    () => ({ destination: at('over-single.qcow2'), ...reuse }),
  ],
  [
    'backing-differs',
    'an overlay, for the whole chain',
    () => ({ destination: at('over-base.qcow2'), ...flat, ...reuse }),
  ],
  [
    'destination-unchecked',
    'an overlay that nobody can look at',
    () => ({ destination: at('over-base.qcow2'), ...reuse }),
  ],
  [
    'destination-unchecked',
    'a device that nobody can look at',
    () => ({ destination: '/dev/blockferry/none', ...flat }),
  ],
  ['size-differs', 'a longer raw file', () => ({ destination: at('larger.raw'), ...raw, ...reuse })],
  [
    'size-differs',
    'a larger block device in XML that does not say so',
    () => ({ destinationXml: block(larger), ...flat }),
  ],
  [
    'destination-unusable',
    'a raw device for a qcow2 image',
    () => ({ destination: larger, ...flat, format: 'qcow2' }),
  ],
  ['bad-destination', 'XML that is none', () => ({ destinationXml: '<disk' })],
  ['bad-destination', 'XML of something else', () => ({ destinationXml: '<domain/>' })],
  [
    'bad-destination',
    'XML without a source',
    () => ({ destinationXml: "<disk><driver type='raw'/></disk>" }),
  ],
  ['bad-destination', 'a relative path in XML', () => ({ destinationXml: file('x.qcow2') })],
  [
    'bad-destination',
    'XML that says another format',
    () => ({ destinationXml: file(at('x')), format: 'raw' }),
  ],
  [
    'bad-destination',
    'a slice of a new file',
    () => ({ destinationXml: file(at('x'), slice, 'raw'), ...flat }),
  ],
  [
    'bad-destination',
    'a name that leaves no room for the journal',
    () => ({ destination: at('n'.repeat(250)) }),
  ],
  ['bad-destination', 'a character that XML has no way to write', () => ({ destination: at('bell\x07') })],
  ['bad-destination', 'a line break', () => ({ destination: at('two\nlines') })],
  ['bad-destination', 'nothing', () => ({ destination: '' })],
  [
    'encrypted',
    'XML that asks for encryption of another kind',
    () => ({
      destinationXml: file(
        at('x'),
        `<encryption format='qcow'><secret type='passphrase' uuid='${SECRET}'/></encryption>`,
      ),
    }),
  ],
  [
    'format-undeclared',
    'XML without a format, though asked for',
    () => ({ destinationXml: `<disk type='file'><source file='${at('x')}'/></disk>`, format: 'qcow2' }),
  ],
])('%s: %s', async (code, _, ask) => {
  const who = code === 'destination-unchecked' ? blind : mover;
  const connection = await mover.context.link.connection();
  const before = await footprint(connection, host.imagesDir);
  const refusal = await who.refusal({ domain: 'vm', disk: 'vda', ...ask() });
  expect(refusal).toMatchObject({ code });
  expect(await footprint(connection, host.imagesDir)).toEqual(before);
  for (const { stateDirectory } of [mover, blind]) await expect(access(stateDirectory)).rejects.toThrow();
});

test('no-direct-io: storage that cannot do what the cache mode asks for; the try leaves no file', async () => {
  const refusal = await mover.refusal({ domain: 'vm', disk: 'vdg', destination: at('ram/x.qcow2') });
  expect(refusal).toMatchObject({ code: 'no-direct-io' });
  expect(await readdir(at('ram'))).toEqual([]);
});
