// What the DEST argument means: only what cannot be a path is anything else.
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { Refusal } from '../model/errors.ts';
import { parseDestination } from './destination-name.ts';

const here = '/work dir';
const parse = (text: string) => parseDestination(text, here);

describe('a path', () => {
  it.each([
    ['/a/b.qcow2', '/a/b.qcow2', false],
    ['/a//b/../c/', '/a/c', true],
    ['b.qcow2', '/work dir/b.qcow2', false],
    ['./nbd://host/x', '/work dir/nbd:/host/x', false],
    ['./json:{}', '/work dir/json:{}', false],
    ['-dash', '/work dir/-dash', false],
    ['dir/', '/work dir/dir', true],
    ['/a/pool:x', '/a/pool:x', false],
  ])('%s', (text, path, directory) => {
    expect(parse(text)).toEqual({ kind: 'path', path, directory });
  });

  test('every absolute name without a line break or NUL is one', () => {
    const name = fc.string({ minLength: 1, unit: 'grapheme' }).filter((text) => !/[\0\n/]|^\.+$/.test(text));
    fc.assert(
      fc.property(name, (text) => {
        expect(parse(`/images/${text}`)).toEqual({ kind: 'path', path: `/images/${text}`, directory: false });
        expect(parse(`./${text}`)).toEqual({ kind: 'path', path: `${here}/${text}`, directory: false });
      }),
    );
  });

  it('on another machine must be absolute', () => {
    expect(parseDestination('/a', undefined)).toMatchObject({ path: '/a' });
    expect(() => parseDestination('a', undefined)).toThrow(Refusal);
  });
});

it.each([
  ['pool:fast', 'fast', undefined],
  ['pool:fast/web.qcow2', 'fast', 'web.qcow2'],
  ['pool:with space/a:b', 'with space', 'a:b'],
])('%s is a volume', (text, pool, volume) => {
  expect(parse(text)).toEqual({ kind: 'pool', pool, volume });
});

it('a URI that QEMU knows is what it says', () => {
  expect(parse('nbd://host:10/a%20b')).toMatchObject({
    kind: 'location',
    location: { kind: 'nbd', server: { host: 'host', port: 10 }, export: 'a b' },
  });
  expect(parse('rbd:pool/image')).toMatchObject({ kind: 'location', location: { kind: 'rbd' } });
});

it.each([
  ['nbds://host/vol', { server: { host: 'host', port: 10809 } }, undefined],
  ['nbds://10.0.0.1:10/vol?tls-hostname=store', { server: { host: '10.0.0.1', port: 10 } }, 'store'],
  ['nbds+unix:///vol?socket=/s&tls-hostname=store', { server: { socket: '/s' } }, 'store'],
])('%s is an export with TLS', (text, where, hostname) => {
  const { tls, ...location } = (parse(text) as { location: { tls?: { hostname?: string } } }).location;
  expect(location).toEqual({ kind: 'nbd', export: 'vol', ...where });
  expect(tls).toBeDefined();
  expect(tls?.hostname).toBe(hostname);
});

it.each([
  'nbds://',
  'nbds://h/x?tls-hostname=a&tls-hostname=b',
  'nbds://h/x?tls-certificates=/d',
  'nbds:h:1',
])('%s is refused', (text) => {
  expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'bad-destination' }));
});

it.each(['', 'pool:', 'pool:/x', 'pool:a/b/c', 'json:{}', 'gopher://x', 'a:b', 'nbd://', '/a\nb', '/a\0b'])(
  '%j is refused, with what to do where there is something',
  (text) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'bad-destination' }));
  },
);

it('a name that QEMU alone would read is refused, and the hint names only what is read here', () => {
  expect(() => parse('json:{}')).toThrow(
    expect.objectContaining({ hint: expect.not.stringMatching(/json:\{…\}|absolute/) }),
  );
});
