// Every refusal that can be provoked leaves definitions, jobs and files exactly as they were.
import { chmod, mkdir, open, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type LibvirtHost,
  type NbdServer,
  nbdServer,
  run,
  type SmallFileSystem,
  smallFileSystem,
  startLibvirtHost,
} from '@blockferry/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inProcess, lastLine, type Where } from '../test/command.ts';
import { hostState } from '../test/host-state.ts';
import { stillDomain } from '../test/still-domain.ts';

let host: LibvirtHost;
let where: Where;
let silent: NbdServer;
let full: SmallFileSystem;
/** A path in the images' directory. */
const at = (name: string) => join(host.imagesDir, name);

beforeAll(async () => {
  host = await startLibvirtHost();
  where = { uri: host.uri, stateDirectory: join(host.directory, 'state') };
  await makeImages();
  await makeDomains();
  await makeDestinations();
});

afterAll(async () => {
  await silent?.[Symbol.asyncDispose]();
  await full?.[Symbol.asyncDispose]();
  await host?.stop();
});

/** An empty image of 64 MiB, over `base` if there is one. */
async function create(name: string, base?: string): Promise<void> {
  const format = name.endsWith('.raw') ? 'raw' : 'qcow2';
  const backing = base === undefined ? [] : ['-b', at(base), '-F', 'qcow2'];
  await run(['qemu-img', 'create', '-q', '-f', format, ...backing, at(name), '64M']);
}

async function makeImages(): Promise<void> {
  await create('base.qcow2');
  await create('top.qcow2', 'base.qcow2');
  await create('gone-base.qcow2');
  await create('broken.qcow2', 'gone-base.qcow2');
  const single = [
    'snapped',
    'corrupt',
    'readonly',
    'checked',
    'unchecked',
    'off',
    'busy',
    'slow',
    'held',
    'second',
  ];
  for (const name of single) await create(`${name}.qcow2`);
  for (const name of ['shared', 'plain', 'medium', 'nbd']) await create(`${name}.raw`);
  await run(['qemu-img', 'snapshot', '-c', 'inside', at('snapped.qcow2')]);
}

async function makeDomains(): Promise<void> {
  const qcow2 = (target: string, name: string, extraXml?: string) => ({
    target,
    path: at(`${name}.qcow2`),
    format: 'qcow2' as const,
    ...(extraXml !== undefined && { extraXml }),
  });
  const raw = (target: string, name: string, extraXml = '') => {
    return { target, path: at(`${name}.raw`), format: 'raw' as const, extraXml };
  };
  const medium = `<driver name='qemu' type='raw'/><source file='${at('medium.raw')}'/><readonly/>`;
  const cdrom = `<disk type='file' device='cdrom'>${medium}<target dev='hdc' bus='ide'/></disk>`;
  await stillDomain(
    host,
    'still',
    [
      qcow2('vda', 'top'),
      raw('vdb', 'plain'),
      qcow2('vdc', 'readonly', '<readonly/>'),
      raw('vdd', 'shared', '<shareable/>'),
      qcow2('vde', 'snapped'),
      qcow2('vdf', 'corrupt'),
      qcow2('vdg', 'broken'),
      qcow2('vdh', 'busy'),
    ],
    { extraDevices: cdrom },
  );
  await stillDomain(host, 'off', [qcow2('vda', 'off')], { running: false });
  await stillDomain(host, 'checked', [qcow2('vda', 'checked'), qcow2('vdb', 'unchecked')]);
  await stillDomain(host, 'moving', [qcow2('vda', 'held'), qcow2('vdb', 'second'), qcow2('vdc', 'slow')]);
  await host.virsh(
    'checkpoint-create-as',
    'checked',
    'monday',
    '--diskspec',
    'vda',
    '--diskspec',
    'vdb,checkpoint=no',
  );
  await setCorruptBit(at('corrupt.qcow2'));
  await rename(at('gone-base.qcow2'), at('elsewhere.qcow2'));
  // Another program's copy, at ready or not: not ours to touch.
  await host.virsh('blockcopy', 'still', 'vdh', '--dest', at('theirs.qcow2'), '--transient-job', '--wait');
}

/** In a header QEMU has read already: incompatible feature bit 1 (qcow2 specification, header bytes 72-79). */
async function setCorruptBit(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.write(Buffer.of(2), 0, 1, 79);
  } finally {
    await file.close();
  }
}

async function makeDestinations(): Promise<void> {
  await create('there.qcow2');
  await create('small.qcow2');
  await run(['qemu-img', 'resize', '-q', '--shrink', at('small.qcow2'), '32M']);
  await create('dangling.qcow2', 'there.qcow2');
  await run([
    'qemu-img',
    'rebase',
    '-q',
    '-u',
    '-b',
    at('nowhere.qcow2'),
    '-F',
    'qcow2',
    at('dangling.qcow2'),
  ]);
  await writeFile(at('noise.qcow2'), 'this is no image');
  await writeFile(at('.journaled.qcow2.blockferry'), 'somebody else wrote this');
  await writeFile(at('formatless.xml'), `<disk type='file'><source file='${at('x.qcow2')}'/></disk>`);
  await run(['mkfifo', at('fifo')]);
  await mkdir(at('private'));
  await chmod(at('private'), 0o700);
  // QEMU, which is another user, makes its backup's socket there.
  await mkdir(at('sockets'));
  await chmod(at('sockets'), 0o777);
  silent = await nbdServer({ path: at('nbd.raw'), export: 'vol' });
  silent.hang();
  full = await smallFileSystem(host, { bytes: 4n << 20n });
  await full.fillUp();
}

async function expectRefused(code: string, argv: readonly string[]): Promise<void> {
  const directories = [host.imagesDir, where.stateDirectory];
  const before = await hostState(host, directories);
  const said = await inProcess(where, ...argv, '--json');
  expect(lastLine(said)).toMatchObject({ type: 'result', outcome: 'refused', exitCode: 3, error: { code } });
  expect(said.code).toBe(3);
  expect(await hostState(host, directories)).toBe(before);
}

describe('a refusal leaves everything as it was', () => {
  it.each<[string, string, () => readonly string[]]>([
    ['no-such-domain', 'a domain that is not there', () => ['nobody', 'vda', at('x.qcow2')]],
    ['no-such-disk', 'a disk that is not there', () => ['still', 'vdz', at('x.qcow2')]],
    [
      'domain-off',
      'a mirror of a domain that is off',
      () => ['off', 'vda', at('x.qcow2'), '--strategy', 'mirror'],
    ],
    [
      'choose-scope',
      'a chain without a scope, and a mirror',
      () => ['still', 'vda', at('x.qcow2'), '--strategy', 'mirror'],
    ],
    ['not-a-disk', 'a CD drive', () => ['still', 'hdc', at('x.qcow2')]],
    ['disk-readonly', 'a read-only disk', () => ['still', 'vdc', at('x.qcow2')]],
    ['disk-shareable', 'a shareable disk', () => ['still', 'vdd', at('x.raw')]],
    ['internal-snapshots', 'internal snapshots', () => ['still', 'vde', at('x.qcow2'), '--flatten']],
    ['image-corrupt', 'a corrupt image', () => ['still', 'vdf', at('x.qcow2')]],
    ['chain-broken', 'a backing file that is gone', () => ['still', 'vdg', at('x.qcow2'), '--shallow']],
    ['disk-busy', "somebody else's job", () => ['still', 'vdh', at('x.qcow2')]],
    ['bad-granularity', 'a granularity', () => ['still', 'vdb', at('x.raw'), '--granularity', '1000']],
    ['bad-destination', 'a scheme nobody knows', () => ['still', 'vdb', 'gopher://host/x']],
    ['bad-destination', 'a pool without a name', () => ['still', 'vdb', 'pool:']],
    ['no-such-pool', 'a pool that is not there', () => ['still', 'vdb', 'pool:nowhere']],
    ['no-such-directory', 'no directory', () => ['still', 'vdb', at('none/x.raw')]],
    ['no-such-directory', 'a file named as one', () => ['still', 'vdb', at('there.qcow2/')]],
    ['destination-exists', 'a file that is there', () => ['still', 'vdb', at('there.qcow2')]],
    ['destination-is-source', 'onto its own base', () => ['still', 'vda', at('base.qcow2'), '--shallow']],
    ['destination-is-source', 'onto itself', () => ['still', 'vdb', at('plain.raw')]],
    ['destination-in-use', "another domain's disk", () => ['still', 'vdb', at('off.qcow2')]],
    ['not-a-file', 'a FIFO', () => ['still', 'vdb', at('fifo')]],
    ['unsupported-format', 'vmdk', () => ['still', 'vdb', at('x.vmdk'), '--format', 'vmdk']],
    ['raw-has-no-backing', 'shallow and raw', () => ['still', 'vda', at('x'), '--shallow', '--raw']],
    ['format-undeclared', 'XML without a format', () => ['still', 'vdb', '--xml', at('formatless.xml')]],
    ['unfinished-move', "an unreadable journal's place", () => ['still', 'vdb', at('journaled.qcow2')]],
    ['destination-missing', 'nothing to reuse', () => ['still', 'vdb', at('x.raw'), '--reuse-external']],
    [
      'size-differs',
      'a smaller image',
      () => ['checked', 'vda', at('small.qcow2'), '--reuse-external', '--flatten'],
    ],
    [
      'backing-differs',
      'an image without the backing file',
      () => ['still', 'vda', at('there.qcow2'), '--reuse-external', '--shallow'],
    ],
    [
      'destination-chain',
      'an image whose backing file is gone',
      () => ['still', 'vda', at('dangling.qcow2'), '--reuse-external', '--shallow'],
    ],
    [
      'destination-unusable',
      'what is no image',
      () => ['checked', 'vda', at('noise.qcow2'), '--reuse-external', '--flatten'],
    ],
    [
      'destination-unreachable',
      'a directory QEMU may not enter',
      () => ['still', 'vdb', at('private/x.raw')],
    ],
    [
      'destination-too-small',
      'a full file system',
      () => ['checked', 'vda', join(full.directory, 'x.qcow2')],
    ],
    ['destination-silent', 'a server that hangs', () => ['still', 'vdb', silent.uri]],
    ['checkpoints-lost', 'raw with checkpoints', () => ['checked', 'vda', at('x.raw'), '--raw']],
    [
      'undefine-loses-snapshots',
      'undefine with checkpoints',
      () => ['checked', 'vda', at('x.qcow2'), '--no-transient-job'],
    ],
  ])('%s: %s', async (code, _, argv) => {
    await expectRefused(code, ['move', ...argv()]);
  });

  it('backup-runs, disk-busy: a backup of one disk of the domain', async () => {
    const server = `<server transport='unix' socket='${join(at('sockets'), 'backup')}'/>`;
    const scratch = `<scratch file='${join(at('sockets'), 'scratch')}'/>`;
    const disks = `<disks><disk name='vda' type='file'>${scratch}</disk><disk name='vdb' backup='no'/></disks>`;
    await writeFile(at('backup.xml'), `<domainbackup mode='pull'>${server}${disks}</domainbackup>`);
    await host.virsh('backup-begin', 'checked', at('backup.xml'));
    await expectRefused('disk-busy', ['move', 'checked', 'vda', at('x.qcow2')]);
    await expectRefused('backup-runs', ['move', 'checked', 'vdb', at('x.qcow2')]);
    await host.virsh('domjobabort', 'checked');
  });
});

describe('a refusal of what cannot be done to an open move leaves everything as it was', () => {
  it('no-open-move: nothing is being moved', async () => {
    for (const verb of ['abort', 'pivot']) await expectRefused('no-open-move', [verb, 'still']);
    await expectRefused('no-open-move', ['bandwidth', 'still', '5M']);
  });

  it('move-under-way: the disk is on its way to another place', async () => {
    const held = await inProcess(where, 'move', 'moving', 'vda', at('held-copy.qcow2'), '--hold');
    expect(held.code).toBe(0);
    await expectRefused('move-under-way', ['move', 'moving', 'vda', at('other.qcow2')]);
    await expectRefused('no-open-move', ['abort', 'moving', 'vdb']);
  });

  it('which-disk: two disks are being moved', async () => {
    const held = await inProcess(where, 'move', 'moving', 'vdb', at('second-copy.qcow2'), '--hold');
    expect(held.code).toBe(0);
    for (const verb of ['abort', 'pivot']) await expectRefused('which-disk', [verb, 'moving']);
  });
});
