// XML of snapshots, volumes and pools.
import { describe, expect, it } from 'vitest';
import { fixture } from '../../test/domain-xml/load.ts';
import { poolTarget, snapshotFiles, snapshotXml, volumeXml } from './storage-xml.ts';

describe('snapshotXml', () => {
  it('names every disk, those left out too', () => {
    const disks = [
      { target: 'vda', source: { kind: 'file', path: `/o'v & "1"` }, format: 'qcow2' },
      { target: 'vdb', snapshot: 'no' },
    ] as const;
    expect(snapshotXml({ name: 'a<b', disks })).toBe(
      '<domainsnapshot><name>a&lt;b</name><disks>' +
        "<disk name='vda' snapshot='external' type='file'><driver type='qcow2'/>" +
        "<source file='/o&apos;v &amp; &quot;1&quot;'/></disk>" +
        "<disk name='vdb' snapshot='no'/></disks></domainsnapshot>",
    );
  });

  it('is read back as the files it names', () => {
    const source = { kind: 'block', path: '/dev/o' } as const;
    expect(snapshotFiles(snapshotXml({ name: 's', disks: [{ target: 'vda', source }] }))).toEqual({
      name: 's',
      disks: [{ target: 'vda', path: '/dev/o', source, named: 'overlay' }],
    });
  });
});

describe('snapshotFiles', () => {
  it('names the overlay and the images of the definitions a revert brings back, each once', () => {
    const { name, disks } = snapshotFiles(fixture('snapshot'));
    expect(name).toBe('s1');
    expect(disks.map(({ named, target, path }) => [named, target, path])).toEqual([
      ['overlay', 'vda', '/images/ov1.qcow2'],
      ['definition', 'vda', '/images/big.raw'],
      ['definition', 'vdb', `/images/o'dd & <dir> é/"q".qcow2`],
    ]);
  });

  it('names the file of the saved memory', () => {
    const xml = `<domainsnapshot><name>s</name><memory snapshot='external' file='/m'/></domainsnapshot>`;
    expect(snapshotFiles(xml)).toEqual({ name: 's', disks: [], memory: '/m' });
  });
});

describe('volumeXml', () => {
  it('gives the capacity in bytes and the backing image with its format', () => {
    const backing = { path: '/b & c', format: 'raw' };
    expect(volumeXml({ name: 'v', capacity: 1n << 40n, format: 'qcow2', backing })).toBe(
      "<volume><name>v</name><capacity unit='bytes'>1099511627776</capacity>" +
        "<target><format type='qcow2'/></target>" +
        "<backingStore><path>/b &amp; c</path><format type='raw'/></backingStore></volume>",
    );
  });

  it('asks for no storage where it is to be sparse', () => {
    expect(volumeXml({ name: 'v', capacity: 512n, format: 'raw', sparse: true })).toBe(
      "<volume><name>v</name><capacity unit='bytes'>512</capacity><allocation unit='bytes'>0</allocation>" +
        "<target><format type='raw'/></target></volume>",
    );
  });
});

describe('poolTarget', () => {
  it('tells where a directory pool keeps its volumes', () => {
    const xml = `<pool type='dir'><name>p</name><uuid>u</uuid><target><path>/v</path></target></pool>`;
    expect(poolTarget(xml)).toEqual({ type: 'dir', name: 'p', uuid: 'u', path: '/v' });
  });

  it('tells the Ceph pool of one that has no path', () => {
    const xml = `<pool type='rbd'><name>p</name><source><host name='m'/><name>ceph</name></source></pool>`;
    expect(poolTarget(xml)).toEqual({ type: 'rbd', name: 'p', sourceName: 'ceph' });
  });

  it('refuses what is not a pool', () => {
    expect(() => poolTarget('<volume/>')).toThrow('expected <pool>');
  });
});
