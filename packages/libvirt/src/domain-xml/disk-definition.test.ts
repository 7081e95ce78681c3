// Disk definitions read from dumps of running domains.
import { describe, expect, it } from 'vitest';
import { fixture } from '../../test/domain-xml/load.ts';
import type { DiskDefinition } from './disk-definition.ts';
import { parseDiskXml } from './disk-definition.ts';
import { DomainXml } from './domain-xml.ts';

const vda = (name: string): DiskDefinition | undefined => DomainXml.parse(fixture(name)).disk('vda');
const file = (path: string) => ({ kind: 'file', path });

describe('a disk of a running domain', () => {
  it('shows its chain, top first, with formats and indexes, and that the chain is complete', () => {
    const disk = vda('live-chain');
    expect(disk?.chain).toEqual([
      { source: file('/images/snap2.qcow2'), format: 'qcow2', index: '3' },
      { source: file('/images/snap1.qcow2'), format: 'qcow2', index: '4' },
      { source: file('/images/base.raw'), format: 'raw', index: '5' },
    ]);
    expect(disk?.chainTerminated).toBe(true);
    expect(disk?.mirror).toBeUndefined();
  });

  it('shows what the guest and the operator set', () => {
    expect(vda('live-chain')).toMatchObject({
      target: 'vda',
      bus: 'virtio',
      device: 'disk',
      driver: {
        name: 'qemu',
        format: 'qcow2',
        cache: 'none',
        io: 'native',
        discard: 'unmap',
        detectZeroes: 'unmap',
        metadataCache: expect.stringContaining("<max_size unit='bytes'>1048576</max_size>"),
      },
      readonly: false,
      shareable: false,
      transient: false,
      encrypted: false,
      snapshot: 'external',
      iotune: true,
      serial: 'S-1',
      alias: 'virtio-disk0',
    });
  });

  it('keeps a path with quotes, ampersand, angle brackets and non-ASCII, and the label of its source', () => {
    const disk = DomainXml.parse(fixture('live-chain')).disk('vdb');
    expect(disk?.source).toEqual({
      ...file(`/images/o'dd & <dir> é/"q".qcow2`),
      seclabel: "<seclabel model='dac' relabel='no'/>",
    });
  });

  it('may be a drive without a medium', () => {
    expect(DomainXml.parse(fixture('live-chain')).disk('sda')).toMatchObject({
      device: 'cdrom',
      source: undefined,
      chain: [],
      readonly: true,
    });
  });
});

describe('a definition that does not run', () => {
  it('has only its top image, and does not know what is below', () => {
    const disk = vda('inactive');
    expect(disk?.chain).toEqual([{ source: file('/images/snap2.qcow2'), format: 'qcow2' }]);
    expect(disk?.chainTerminated).toBe(false);
  });
});

describe('a mirror', () => {
  it('is not ready while it copies', () => {
    expect(vda('mirror-copying')?.mirror).toMatchObject({ job: 'copy', ready: 'no' });
  });

  it('of a shallow copy is ready, and knows nothing below its own image', () => {
    expect(vda('mirror-ready')?.mirror).toEqual({
      job: 'copy',
      ready: 'yes',
      source: file('/images/copy.qcow2'),
      format: 'qcow2',
      chain: [{ source: file('/images/copy.qcow2'), format: 'qcow2', index: '6' }],
      chainTerminated: false,
    });
  });

  it('to an NBD server names its socket', () => {
    expect(vda('mirror-nbd')?.mirror).toMatchObject({
      source: {
        kind: 'network',
        protocol: 'nbd',
        name: 'vol',
        tls: false,
        hosts: [{ transport: 'unix', socket: '/images/nbd.sock' }],
      },
      chainTerminated: true,
    });
  });

  it('onto a larger device shows the slice, in bytes', () => {
    const source = vda('mirror-slice')?.mirror?.source;
    expect(source).toEqual({ ...file('/images/big.raw'), slices: [{ offset: 0n, size: 67108864n }] });
  });

  it('of an active commit is the backing image of the same chain', () => {
    const disk = vda('active-commit-ready');
    expect(disk?.mirror).toMatchObject({ job: 'active-commit', ready: 'yes' });
    expect(disk?.mirror?.chain[0]?.index).toBe(disk?.chain[1]?.index);
  });

  it.each(['abort', 'pivot'] as const)('says that it is under way to %s', (ready) => {
    const xml = `<disk><mirror type='file' job='copy' ready='${ready}'><source file='/m'/></mirror></disk>`;
    expect(parseDiskXml(xml).mirror?.ready).toBe(ready);
  });

  it('of a libvirt before 1.2.6 is read from its attributes', () => {
    const mirror = parseDiskXml(`<disk><mirror file='/m' format='raw' ready='yes'/></disk>`).mirror;
    expect(mirror).toMatchObject({ job: 'copy', ready: 'yes', source: file('/m'), format: 'raw' });
  });
});

describe('encryption', () => {
  const encryption = `<encryption format='luks'><secret type='passphrase' uuid='u'/></encryption>`;

  it.each([
    ['inside the source', `<disk><source file='/x'>${encryption}</source></disk>`],
    ['beside the source', `<disk><source file='/x'/>${encryption}</disk>`],
  ])('%s belongs to the source', (_where, xml) => {
    const disk = parseDiskXml(xml);
    expect(disk.encrypted).toBe(true);
    expect(disk.source?.encryption).toBe(encryption);
  });

  it('of a lower image counts', () => {
    const below = `<backingStore type='file'><source file='/y'>${encryption}</source></backingStore>`;
    expect(parseDiskXml(`<disk><source file='/x'/>${below}</disk>`).encrypted).toBe(true);
  });
});

describe('sources of every kind', () => {
  it('a qcow2 image with an external data file names that file', () => {
    const store = `<dataStore type='block'><format type='raw'/><source dev='/dev/d'/></dataStore>`;
    expect(parseDiskXml(`<disk><source file='/x'>${store}</source></disk>`).chain[0]).toMatchObject({
      dataFile: { source: { kind: 'block', path: '/dev/d' }, format: 'raw' },
      source: { other: store },
    });
  });

  it('a kind we do not know is kept verbatim', () => {
    const xml = `<disk type='ctl'><source dev='/dev/cam/ctl'/><target dev='sda'/></disk>`;
    const source = { kind: 'other', type: 'ctl', xml: `<source dev='/dev/cam/ctl'/>` };
    expect(parseDiskXml(xml).source).toEqual(source);
  });

  it('a source that ends the known part of a chain does not count as its end', () => {
    const xml = `<disk><source file='/x'/><backingStore type='file'><format type='raw'/></backingStore></disk>`;
    expect(parseDiskXml(xml)).toMatchObject({ chain: [{ source: file('/x') }], chainTerminated: false });
  });

  it('anything but a <disk> is refused', () => {
    expect(() => parseDiskXml('<domain/>')).toThrow('expected <disk>');
  });
});
