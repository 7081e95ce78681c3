// A snapshot's metadata: what it names, and that putting other images into it changes those places and nothing else.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diskSource, domain } from '../../test/domain-xml/arbitrary.ts';
import { fixture } from '../../test/domain-xml/load.ts';
import { type DiskSource, describeSource, sameSource } from './disk-source.ts';
import { DomainXmlError } from './errors.ts';
import { SnapshotXml } from './snapshot-xml.ts';

const parsed = () => SnapshotXml.parse(fixture('snapshot'));
const file = (path: string): DiskSource => ({ kind: 'file', path });
const seen = (xml: string) =>
  SnapshotXml.parse(xml)
    .images()
    .map(({ named, target, source, format }) => [named, target, describeSource(source), format]);

const moving =
  (from: string, to: DiskSource, format = 'qcow2') =>
  ({ source }: { readonly source: DiskSource }) =>
    sameSource(source, file(from)) ? { source: to, format } : undefined;

/** The lines in which two texts differ: theirs, ours. */
function differences(before: string, after: string): string[][] {
  const [old, now] = [before.split('\n'), after.split('\n')];
  expect(now.length).toBe(old.length);
  return old.flatMap((line, at) => (line === now[at] ? [] : [[line.trim(), (now[at] ?? '').trim()]]));
}

describe('a snapshot', () => {
  it('tells its name, its parent, how it keeps each disk, and every image that it names', () => {
    expect(parsed()).toMatchObject({ name: 's1', parent: undefined });
    expect(['vda', 'vdb', 'vdz'].map((target) => parsed().modeOf(target))).toEqual([
      'external',
      'no',
      undefined,
    ]);
    expect(seen(fixture('snapshot'))).toEqual([
      ['overlay', 'vda', '/images/ov1.qcow2', 'qcow2'],
      ['definition', 'vda', '/images/big.raw', 'raw'],
      ['definition', 'vdb', `/images/o'dd & <dir> é/"q".qcow2`, 'qcow2'],
      ['definition', 'vda', '/images/big.raw', 'raw'],
      ['definition', 'vdb', `/images/o'dd & <dir> é/"q".qcow2`, 'qcow2'],
    ]);
  });

  it('names what a revert made, and the chain that a definition spells out', () => {
    const xml = `<domainsnapshot><name>s</name><parent><name>a&amp;b</name></parent>
      <revertdisks><disk name='vda' snapshot='external' type='block'><source dev='/dev/o'/></disk></revertdisks>
      <domain><devices><disk type='file'><driver type='qcow2'/><source file='/t'/>
        <backingStore type='file'><format type='raw'/><source file='/b'/><backingStore/></backingStore>
        <target dev='vda'/></disk></devices></domain></domainsnapshot>`;
    expect(SnapshotXml.parse(xml).parent).toBe('a&b');
    expect(seen(xml)).toEqual([
      ['overlay', 'vda', '/dev/o', undefined],
      ['definition', 'vda', '/t', 'qcow2'],
      ['backing', 'vda', '/b', 'raw'],
    ]);
    const moved = SnapshotXml.parse(xml).withImages(moving('/b', file('/c & d'), 'raw'));
    expect(differences(xml, moved)).toEqual([
      [
        `<backingStore type='file'><format type='raw'/><source file='/b'/><backingStore/></backingStore>`,
        `<backingStore type='file'><format type='raw'/><source file='/c &amp; d'/><backingStore/></backingStore>`,
      ],
    ]);
  });

  it.each(['<domain><name>x</name></domain>', '<domainsnapshot/>', '<domainsnapshot><name>'])(
    'is refused when it is not one: %s',
    (xml) => {
      expect(() => SnapshotXml.parse(xml)).toThrow(DomainXmlError);
    },
  );
});

describe('another image', () => {
  it('of a file changes its path wherever it is named, and keeps the labels of its source', () => {
    const odd = `/images/o'dd & <dir> é/"q".qcow2`;
    const after = parsed().withImages(moving(odd, file('/new/q.qcow2')));
    const line = [
      `<source file='/images/o&apos;dd &amp; &lt;dir&gt; é/&quot;q&quot;.qcow2'>`,
      `<source file='/new/q.qcow2'>`,
    ];
    expect(differences(fixture('snapshot'), after)).toEqual([line, line]);
  });

  it('on a device changes the kind with it', () => {
    const after = parsed().withImages(moving('/images/ov1.qcow2', { kind: 'block', path: '/dev/o' }));
    expect(differences(fixture('snapshot'), after)).toEqual([
      [
        `<disk name='vda' snapshot='external' type='file'>`,
        `<disk name='vda' snapshot='external' type='block'>`,
      ],
      [`<source file='/images/ov1.qcow2'/>`, `<source dev='/dev/o'/>`],
    ]);
  });

  it('in another format says so, in the words of each place', () => {
    const xml = `<domainsnapshot><name>s</name><disks><disk name='vda' snapshot='external'><source file='/a'/></disk></disks>
<domain><devices><disk><driver type='qcow2'><metadata_cache/></driver><source file='/a'/><target dev='vda'/></disk></devices></domain></domainsnapshot>`;
    const after = SnapshotXml.parse(xml).withImages(moving('/a', file('/b'), 'raw'));
    expect(seen(after)).toEqual([
      ['overlay', 'vda', '/b', 'raw'],
      ['definition', 'vda', '/b', 'raw'],
    ]);
    expect(after).not.toContain('metadata_cache');
  });

  it('elsewhere than in a file is written anew, with the secrets of the encryption that its bytes have', () => {
    const secret = `<encryption format='luks'><secret type='passphrase' uuid='u'/></encryption>`;
    const xml = `<domainsnapshot><name>s</name><domain><devices><disk type='file'><driver type='qcow2'/>
<source file='/a' startupPolicy='optional'>${secret}<seclabel model='dac' relabel='no'/></source><target dev='vda'/></disk></devices></domain></domainsnapshot>`;
    const nbd: DiskSource = { kind: 'network', protocol: 'nbd', name: 'x', hosts: [{ name: 'h' }] };
    const after = SnapshotXml.parse(xml).withImages(moving('/a', nbd));
    expect(SnapshotXml.parse(after).images()).toEqual([
      { target: 'vda', named: 'definition', format: 'qcow2', source: { ...nbd, encryption: secret } },
    ]);
  });
});

describe('of any snapshot and any image', () => {
  const head = `<domainsnapshot><!-- a --><name>s</name><odd x = "1"/>`;
  const tail = '<cookie>\n&#x41;</cookie></domainsnapshot>';
  // With what libvirt would not write but what must survive all around: comments, unknown elements, text.
  const snapshot = domain.map(({ xml, before, after, kept }) => {
    const prolog = before.slice(0, before.indexOf('<domain'));
    const epilog = after.slice(after.lastIndexOf('</domain>') + '</domain>'.length);
    const inner = xml.slice(prolog.length, xml.length - epilog.length);
    return {
      xml: head + inner + tail,
      before: head + before.slice(prolog.length),
      after: after.slice(0, after.length - epilog.length) + tail,
      kept,
    };
  });

  it('only the places of the image change', () => {
    const format = fc.constantFrom('raw', 'qcow2');
    fc.assert(
      fc.property(snapshot, diskSource, format, ({ xml, before, after, kept }, source, format) => {
        const read = SnapshotXml.parse(xml);
        const changed = read.withImages(({ target }) => (target === 'vda' ? { source, format } : undefined));
        const of = (text: SnapshotXml) => text.images().filter(({ target }) => target === 'vda');
        const images = of(SnapshotXml.parse(changed));
        expect(images.length).toBe(of(read).length);
        for (const image of images) {
          expect(image.format).toBe(format);
          expect(sameSource(image.source, source)).toBe(true);
        }
        for (const part of kept) expect(changed).toContain(part);
        expect(changed.startsWith(before)).toBe(true);
        expect(changed.endsWith(after)).toBe(true);
      }),
    );
  });

  it('nothing changes where nothing is to', () => {
    fc.assert(
      fc.property(snapshot, ({ xml }) => {
        const one = SnapshotXml.parse(xml);
        expect(one.withImages(() => undefined)).toBe(xml);
        // Neither does it when each image is put where it stands already, as far as it can be named.
        const same = one.withImages(({ source, format }) =>
          source.kind === 'file' ? { source, format: format ?? 'raw' } : undefined,
        );
        const list = (text: string) => seen(text).map(([named, target, path]) => [named, target, path]);
        expect(list(same)).toEqual(list(xml));
      }),
    );
  });
});
