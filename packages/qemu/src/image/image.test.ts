// Names of images: to QEMU and back without loss, and refused where they cannot be understood.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { location, networkLocation } from '../testing/locations.ts';
import { resolveBackingReference, toRelativeReference } from './backing.ts';
import { toBlockdev, toJsonFilename, toObjectArguments } from './blockdev.ts';
import { imageFromJson, parseJsonFilename } from './json-filename.ts';
import { formatLocation, type Image, type Location, sameLocation } from './location.ts';
import { parseImageUri, protocolOf, toCreatableName, UnknownImageName } from './uri.ts';

const file = (path: string): Location => ({ kind: 'file', path });

describe('round trips', () => {
  test('any image through json:{…}, its format with it', () => {
    const image = fc.record({ location, format: fc.constantFrom('raw', 'qcow2', 'luks') });
    fc.assert(
      fc.property(image, (each) => {
        expect(imageFromJson(parseJsonFilename(toJsonFilename(each)), 'no')).toEqual(each);
      }),
    );
  });

  test('a slice of a raw image', () => {
    const image: Image = { location: file('/a'), format: 'raw', offset: 2n ** 60n, size: 512n };
    expect(imageFromJson(parseJsonFilename(toJsonFilename(image)), undefined)).toEqual(image);
    expect(() => toBlockdev({ ...image, format: 'qcow2' })).toThrow(TypeError);
  });

  test('nbd and rbd through the names that qemu-img creates', () => {
    fc.assert(
      fc.property(networkLocation, (each) => {
        expect(parseImageUri(toCreatableName(each) ?? '')).toEqual(each);
      }),
    );
  });

  test('a location is the same as itself, and its copy in other words', () => {
    fc.assert(
      fc.property(location, (each) => {
        expect(sameLocation(each, structuredClone(each))).toBe(true);
      }),
    );
    expect(sameLocation(file('/a//b/./c'), { kind: 'block', path: '/a/b/c' })).toBe(true);
    expect(sameLocation(file('/a/../b'), file('/b'))).toBe(false); // /a may be a symlink
    expect(
      sameLocation(
        { kind: 'json', blockdev: { driver: 'ssh', path: '/x' } },
        { kind: 'json', blockdev: { path: '/x', driver: 'ssh' } },
      ),
    ).toBe(true);
    expect(sameLocation(file('/a'), { kind: 'nbd', server: { socket: '/a' }, export: '' })).toBe(false);
  });
});

describe('URIs', () => {
  const nbd = (host: string, port: number, name: string): Location => ({
    kind: 'nbd',
    server: { host, port },
    export: name,
  });

  test.each<[string, Location]>([
    ['nbd://localhost', nbd('localhost', 10809, '')],
    ['nbd://localhost/', nbd('localhost', 10809, '')],
    ['nbd+tcp://h:1234/a/b%20c', nbd('h', 1234, 'a/b c')],
    ['nbd://[::1]:99/x', nbd('::1', 99, 'x')],
    ['nbd+unix:///?socket=/run/a%3Fb', { kind: 'nbd', server: { socket: '/run/a?b' }, export: '' }],
    ['nbd:h:10809', nbd('h', 10809, '')],
    ['nbd:h:1:exportname=a:b', nbd('h', 1, 'a:b')],
    ['nbd:unix:/run/s:exportname=x', { kind: 'nbd', server: { socket: '/run/s' }, export: 'x' }],
    ['rbd:pool/image', { kind: 'rbd', pool: 'pool', image: 'image' }],
    ['rbd:p/ns/i@s', { kind: 'rbd', pool: 'p', namespace: 'ns', image: 'i', snapshot: 's' }],
    [
      'rbd:p/i:id=me:conf=/etc/a\\:b.conf:mon_host=m1\\:6789\\;m2',
      {
        kind: 'rbd',
        pool: 'p',
        image: 'i',
        user: 'me',
        conf: '/etc/a:b.conf',
        monitors: [
          { host: 'm1', port: 6789 },
          { host: 'm2', port: 6789 },
        ],
      },
    ],
  ])('%s', (uri, expected) => {
    expect(parseImageUri(uri)).toEqual(expected);
  });

  test.each([
    'nbd://',
    'nbd://user@h/x',
    'nbd://h:0/x',
    'nbd://h:99999/x',
    'nbd://h/%zz',
    'nbd://h/x?socket=/y',
    'nbd+unix://h/x?socket=/y',
    'nbd+unix:///x',
    'nbd+unix:///x?sock=/y',
    'nbd:h',
    'nbd:unix:',
    'rbd:pool',
    'rbd:a/b/c/d',
    'rbd:p/i:key=SECRET',
    'ssh://h/x',
    'fat:/x',
    'https://h/x',
    'blkdebug::/x',
  ])('refuses %s', (uri) => {
    expect(() => parseImageUri(uri)).toThrow(UnknownImageName);
  });

  test.each(['/a:b', 'a/b:c', './a:b', 'plain', '-x', ''])('takes %j for a plain path', (path) => {
    expect(parseImageUri(path)).toBeNull();
  });

  test('formatLocation writes for people', () => {
    expect(formatLocation(nbd('::1', 1, 'x'))).toBe('nbd://[::1]:1/x');
    expect(formatLocation({ kind: 'rbd', pool: 'p', image: 'i', namespace: 'n', snapshot: 's' })).toBe(
      'rbd:p/n/i@s',
    );
    expect(formatLocation({ kind: 'json', blockdev: { driver: 'ssh', n: 1n } })).toBe(
      'json:{"driver":"ssh","n":1}',
    );
  });
});

describe('backing references', () => {
  test.each<[string, string, string, boolean]>([
    ['/d/top', 'base', '/d/base', true],
    ['/d/top', 'sub/base', '/d/sub/base', true],
    ['/d/top', '../base', '/d/../base', true],
    ['/d/top', './a:b', '/d/./a:b', true],
    ['/top', 'base', '/base', true],
    ['/d/top', '/abs/base', '/abs/base', false],
    ['/d/top', '/a:b', '/a:b', false],
    ['/d/top', 'file:/x', '/x', false],
  ])('%s names %s: %s', (top, reference, path, relative) => {
    expect(resolveBackingReference(file(top), reference)).toEqual({ location: file(path), relative });
  });

  test('may leave the file system, and carry their own format', () => {
    expect(resolveBackingReference(file('/d/top'), 'nbd://h/x').location.kind).toBe('nbd');
    expect(resolveBackingReference(file('/d/top'), 'host_device:/dev/x').location).toEqual({
      kind: 'block',
      path: '/dev/x',
    });
    const json = 'json:{"driver":"raw","offset":512,"file":{"driver":"file","filename":"/x"}}';
    expect(resolveBackingReference(file('/d/top'), json)).toEqual({
      location: file('/x'),
      format: 'raw',
      offset: 512n,
      relative: false,
    });
  });

  test('are refused when they mean nothing certain', () => {
    const export_: Location = { kind: 'nbd', server: { socket: '/s' }, export: '' };
    expect(() => resolveBackingReference(export_, 'base')).toThrow(UnknownImageName);
    expect(() => resolveBackingReference(file('/d/top'), 'file:base')).toThrow(UnknownImageName);
    expect(() => resolveBackingReference(file('/d/top'), 'a:b')).toThrow(UnknownImageName);
  });

  test('to a relative name never look like a protocol', () => {
    fc.assert(
      fc.property(
        fc.string().filter((name) => !name.startsWith('/')),
        (name) => {
          expect(protocolOf(toRelativeReference(name))).toBeNull();
        },
      ),
    );
    expect(toRelativeReference('a:b')).toBe('./a:b');
    expect(toRelativeReference('a/b:c')).toBe('a/b:c');
    expect(() => toRelativeReference('/a')).toThrow(TypeError);
  });
});

describe('blockdev trees', () => {
  const [top, base]: Image[] = [
    { location: file('/top'), format: 'qcow2' },
    { location: file('/base'), format: 'raw' },
  ];

  test('leave QEMU nothing to guess', () => {
    if (!top || !base) throw new Error('unreachable');
    expect(toBlockdev(top)).toEqual({
      driver: 'qcow2',
      backing: null,
      file: { driver: 'file', filename: '/top' },
    });
    expect(toBlockdev(top, { backing: [base] })).toMatchObject({
      backing: { driver: 'raw', file: { driver: 'file', filename: '/base' } },
    });
    expect(toBlockdev(base)).not.toHaveProperty('backing');
    expect(toBlockdev(base, { fileNode: { cache: { direct: true } } })).toMatchObject({
      file: { driver: 'file', filename: '/base', cache: { direct: true } },
    });
  });

  test('refuse relative paths and NULs', () => {
    for (const path of ['x', '', '/a\0b']) {
      expect(() => toBlockdev({ location: file(path), format: 'raw' })).toThrow(TypeError);
    }
  });

  test('bring the TLS credentials that they refer to, once', () => {
    const tls = (directory: string): Image => ({
      location: {
        kind: 'nbd',
        server: { host: 'h', port: 1 },
        export: '',
        tls: { directory, hostname: 'n' },
      },
      format: 'raw',
    });
    expect(toBlockdev(tls('/a'))).toMatchObject({
      file: { 'tls-creds': 'blockferry-tls', 'tls-hostname': 'n' },
    });
    expect(toObjectArguments(tls('/a'), tls('/a'))).toEqual([
      '--object',
      '{"qom-type":"tls-creds-x509","id":"blockferry-tls","endpoint":"client","dir":"/a"}',
    ]);
    expect(toObjectArguments({ location: file('/a'), format: 'raw' })).toEqual([]);
    expect(() => toObjectArguments(tls('/a'), tls('/b'))).toThrow(TypeError);
  });
});
