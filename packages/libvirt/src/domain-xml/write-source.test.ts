// What is written is what is read again, for every source.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diskSource } from '../../test/domain-xml/arbitrary.ts';
import { parseDiskXml } from './disk-definition.ts';
import { DomainXmlError } from './errors.ts';
import { diskElement } from './write-source.ts';

describe('diskElement', () => {
  it('is read back as the source, format and chain it was written from', () => {
    fc.assert(
      fc.property(diskSource, diskSource, (source, below) => {
        const disk = parseDiskXml(
          diskElement(source, 'qcow2', {
            target: 'vda',
            backing: { source: below, format: 'raw', backing: 'none' },
          }),
        );
        expect(disk).toMatchObject({ target: 'vda', driver: { name: 'qemu', format: 'qcow2' }, source });
        expect(disk.chain).toEqual([
          { source, format: 'qcow2' },
          { source: below, format: 'raw' },
        ]);
        expect(disk.chainTerminated).toBe(true);
      }),
    );
  });

  it('limits the disk to a slice and leaves the owner alone when asked to', () => {
    const options = { slice: 512n, relabel: false, backing: 'none' } as const;
    expect(diskElement({ kind: 'block', path: '/dev/x' }, 'raw', options)).toBe(
      "<disk type='block' device='disk'><driver name='qemu' type='raw'/><source dev='/dev/x'>" +
        "<slices><slice type='storage' offset='0' size='512'/></slices><seclabel model='dac' relabel='no'/>" +
        '</source><backingStore/></disk>',
    );
  });

  it('carries encryption and metadata cache as given', () => {
    const encryption = `<encryption format='luks'/>`;
    const metadataCache = `<metadata_cache><max_size unit='bytes'>1</max_size></metadata_cache>`;
    const disk = parseDiskXml(
      diskElement({ kind: 'file', path: '/x' }, 'qcow2', { encryption, metadataCache }),
    );
    expect(disk).toMatchObject({ encrypted: true, driver: { metadataCache } });
  });

  it.each(['/a\nb', '/a\tb', '/a\rb', '/a\0b', '/a\ud800'])('refuses the path %j', (path) => {
    expect(() => diskElement({ kind: 'file', path }, 'raw')).toThrow(DomainXmlError);
  });

  it('refuses a slice of a source that has one', () => {
    const source = { kind: 'file', path: '/x', slices: [{ offset: 0n, size: 1n }] } as const;
    expect(() => diskElement(source, 'raw', { slice: 1n })).toThrow(DomainXmlError);
  });
});
