// libvirt itself reads what we write: definitions, and disks with every kind of source and awkward path.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type LibvirtHost, startLibvirtHost } from '@blockferry/testbed';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixture } from '../../test/domain-xml/load.ts';
import { type DiskSource, sameSource } from './disk-source.ts';
import { DomainXml } from './domain-xml.ts';
import { snapshotFiles, snapshotXml, volumeXml } from './storage-xml.ts';

let host: LibvirtHost;
beforeAll(async () => {
  host = await startLibvirtHost({ name: 'bf-xml' });
});
afterAll(() => host.stop());

async function save(name: string, xml: string): Promise<string> {
  const file = join(host.imagesDir, name);
  await writeFile(file, xml);
  return file;
}

/** Defines the domain with this source for vda, checked against libvirt's schema, and returns what it made of it. */
async function define(source: DiskSource, format: string): Promise<DomainXml> {
  const definition = DomainXml.parse(fixture('inactive'));
  definition.setDiskSource('vda', source, format);
  await host.virsh('define', '--validate', await save('domain.xml', definition.toString()));
  return DomainXml.parse(await host.virsh('dumpxml', '--inactive', 'example'));
}

describe('libvirt reads a source we wrote as the same source', () => {
  const secret = `<secret type='ceph' uuid='8f6b0e5c-0000-4000-8000-000000000001'/>`;
  const luks = `<encryption format='luks'>${secret.replace('ceph', 'passphrase')}</encryption>`;
  const seclabel = `<seclabel model='dac' relabel='no'/>`;

  it.each<[string, DiskSource]>([
    ['a file', { kind: 'file', path: '/a', seclabel, slices: [{ offset: 0n, size: 1n << 40n }] }],
    ['a LUKS image', { kind: 'file', path: '/a', encryption: luks }],
    ['a block device', { kind: 'block', path: '/dev/disk/by-id/x' }],
    [
      'an NBD export over TLS',
      {
        kind: 'network',
        protocol: 'nbd',
        name: 'é&',
        hosts: [{ name: 'h', port: '1' }],
        tls: true,
        tlsHostname: 'n',
      },
    ],
    [
      'an NBD export on a socket',
      { kind: 'network', protocol: 'nbd', hosts: [{ transport: 'unix', socket: '/s' }] },
    ],
    [
      'an RBD image',
      {
        kind: 'network',
        protocol: 'rbd',
        name: 'pool/image',
        hosts: [{ name: 'a', port: '6789' }, { name: 'b' }],
        config: '/etc/ceph/x.conf',
        snapshot: 's',
        auth: `<auth username='admin'>${secret}</auth>`,
      },
    ],
    ['a volume', { kind: 'volume', pool: 'p', volume: 'v' }],
    [
      'an NVMe namespace',
      {
        kind: 'nvme',
        managed: 'yes',
        namespace: '1',
        address: { domain: '0x0000', bus: '0x0a', slot: '0x00', function: '0x0' },
      },
    ],
    [
      'a web address',
      { kind: 'network', protocol: 'https', name: 'a', query: 'k=v', hosts: [{ name: 'h' }] },
    ],
  ])('%s', async (_what, source) => {
    const disk = (await define(source, 'raw')).disk('vda');
    expect(disk?.source && sameSource(disk.source, source)).toBe(true);
    expect(disk?.driver.format).toBe('raw');
    expect(disk?.serial).toBe('S-1');
    expect(disk?.encrypted).toBe(source.kind === 'file' && source.encryption !== undefined);
    expect(disk?.slices).toEqual(source.kind === 'other' ? [] : (source.slices ?? []));
  });

  it('whatever is in the path', async () => {
    const awkward = fc
      .array(fc.constantFrom(...`'"&<>;]-? %#=,:{}é中🐧`, '\u2028', '\u0085', ']]>', '&amp;', '\\'), {
        minLength: 1,
      })
      .map((parts) => `/${parts.join('')}`);
    for (const path of fc.sample(awkward, { numRuns: 20, seed: 7 })) {
      expect((await define({ kind: 'file', path }, 'qcow2')).disk('vda')?.source).toEqual({
        kind: 'file',
        path,
      });
    }
  });

  it('and keeps the rest of the definition as it was', async () => {
    const before = (await define({ kind: 'file', path: '/images/snap2.qcow2' }, 'qcow2')).toString();
    const edited = DomainXml.parse(before);
    edited.setDiskSource('vda', { kind: 'block', path: '/dev/x' }, 'qcow2');
    await host.virsh('define', '--validate', await save('domain.xml', edited.toString()));
    const after = (await host.virsh('dumpxml', '--inactive', 'example')).split('\n');
    const changed = before.split('\n').filter((line) => !after.includes(line));
    expect(changed.map((line) => line.trim())).toEqual([
      "<disk type='file' device='disk' snapshot='external'>",
      "<source file='/images/snap2.qcow2'/>",
    ]);
  });
});

describe('libvirt takes', () => {
  it('a volume with a backing image, its name awkward', async () => {
    const directory = join(host.imagesDir, 'pool');
    await mkdir(directory);
    await host.virsh('pool-create-as', 'p', 'dir', '--target', directory);
    const make = async (name: string, backing?: { path: string; format: string }): Promise<string> => {
      const xml = volumeXml({ name, capacity: 1n << 26n, format: 'qcow2', backing });
      await host.virsh('vol-create', 'p', await save('volume.xml', xml));
      return (await host.virsh('vol-path', '--pool', 'p', name)).trim();
    };
    const base = await make(`b'a & "s" <e> é`);
    await make('top', { path: base, format: 'qcow2' });
    expect(await host.virsh('vol-dumpxml', '--pool', 'p', 'top')).toContain('<backingStore>');
    expect(await host.virsh('vol-info', '--bytes', '--pool', 'p', 'top')).toContain('67108864 bytes');
  });

  it('a snapshot, and names its files as we read them', async () => {
    await define({ kind: 'file', path: join(host.imagesDir, 'disk.qcow2') }, 'qcow2');
    const path = join(host.imagesDir, `o'v & "1".qcow2`);
    const disks = [
      { target: 'vda', source: { kind: 'file', path }, format: 'qcow2' },
      { target: 'vdb', snapshot: 'no' },
      { target: 'sda', snapshot: 'no' },
    ] as const;
    const file = await save('snapshot.xml', snapshotXml({ name: 's', disks }));
    await host.inNamespace([
      'qemu-img',
      'create',
      '-q',
      '-f',
      'qcow2',
      join(host.imagesDir, 'disk.qcow2'),
      '64M',
    ]);
    await host.virsh('snapshot-create', '--disk-only', 'example', file);
    const named = snapshotFiles(await host.virsh('snapshot-dumpxml', 'example', 's'));
    expect(named.disks.filter((disk) => disk.named === 'overlay').map((disk) => disk.path)).toEqual([path]);
    await host.virsh('undefine', '--snapshots-metadata', 'example');
  });
});
