// Connection URIs: what libvirt 9.0's own client was seen to make of them, and what is refused.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ConnectionUri,
  parseConnectionUri,
  serverName,
  uriFlag,
  uriParameter,
} from './connection-uri.ts';
import { ConnectionUriError } from './errors.ts';

const codeOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    if (error instanceof ConnectionUriError) return error.code;
    throw error;
  }
  return 'accepted';
};

describe('parseConnectionUri', () => {
  it.each<[string, Partial<ConnectionUri>]>([
    ['qemu:///system', { driver: 'qemu', transport: 'unix', path: '/system' }],
    ['qemu://host/system', { transport: 'tls', host: 'host' }],
    [
      'qemu+ssh://me@host:2222/session',
      { transport: 'ssh', user: 'me', host: 'host', port: 2222, path: '/session' },
    ],
    ['qemu+SSH://h/system', { transport: 'ssh' }],
    ['qemu+libssh2://h/system', { transport: 'libssh2' }],
    ['qemu+tcp://[fe80::1%25eth0]:1/system', { transport: 'tcp', host: 'fe80::1%eth0', port: 1 }],
    ['qemu+ssh://a%40b@h/system', { user: 'a@b', host: 'h' }],
    ['qemu+ssh:///system', { transport: 'ssh' }],
    ['remote+unix:///', { driver: 'remote', transport: 'unix', path: '/' }],
    ['test:///default', { driver: 'test', transport: 'unix', path: '/default' }],
  ])('reads %s', (text, expected) => {
    expect(parseConnectionUri(text)).toMatchObject({ text, ...expected });
  });

  it('leaves out the port 0, which means the default', () => {
    expect(parseConnectionUri('qemu+ssh://h:0/system')).not.toHaveProperty('port');
  });

  it('reads parameters, without a value too; ";" separates only behind the last "&"', () => {
    const { parameters } = parseConnectionUri('qemu:///system?a=1&b=x%20y;z&flag&e=&=nameless&c=d=e;f=1;;g');
    expect(parameters.map(({ name, value }) => `${name}:${value}`)).toEqual([
      'a:1',
      'b:x y;z',
      'flag:',
      'e:',
      'c:d=e',
      'f:1',
      'g:',
    ]);
  });

  it.each([
    ['', 'malformed'],
    ['system', 'malformed'],
    ['/run/libvirt/libvirt-sock', 'malformed'],
    ['qemu://h:/system', 'malformed'],
    ['qemu://h:99999/system', 'malformed'],
    ['qemu://a:b:c/system', 'malformed'],
    ['qemu:///system?socket=/a b', 'malformed'],
    ['qemu:///system?socket=/é', 'malformed'],
    ['qemu:///system?a=%zz', 'malformed'],
    ['qemu+carrier-pigeon://h/system', 'unknown-transport'],
    ['qemu+unix://h/system', 'conflict'],
  ])('refuses %s', (text, code) => {
    expect(codeOf(() => parseConnectionUri(text))).toBe(code);
  });

  it('either reads or refuses any text, with a typed error', () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom(...'qemu+ssh:/@[]%?&;=#:19 é') }).map((rest) => `qemu+ssh://${rest}`),
    );
    fc.assert(
      fc.property(text, (given) => {
        expect(['accepted', 'malformed', 'unknown-transport', 'conflict']).toContain(
          codeOf(() => parseConnectionUri(given)),
        );
      }),
      { numRuns: 1000 },
    );
  });
});

describe('parameters of the client', () => {
  const uri = parseConnectionUri('qemu:///system?SOCKET=/a&socket=/b&no_verify=1&no_tty=0&bad=yes');

  it('do not depend on case, and the last one wins', () => {
    expect(uriParameter(uri, 'socket')).toBe('/b');
  });

  it('that say yes or no are numbers', () => {
    expect([uriFlag(uri, 'no_verify'), uriFlag(uri, 'no_tty'), uriFlag(uri, 'absent')]).toEqual([
      true,
      false,
      false,
    ]);
    expect(codeOf(() => uriFlag(uri, 'bad'))).toBe('bad-parameter');
  });
});

describe('serverName', () => {
  it.each([
    ['qemu:///system', 'qemu:///system'],
    ['qemu+ssh://me@h:1/system', 'qemu:///system'],
    ['qemu+unix:///session?socket=/x&mode=legacy', 'qemu:///session'],
    ['qemu+ssh://h?proxy=native', 'qemu://'],
    ['qemu+ssh://h/?proxy=native', 'qemu:///'],
    ['remote+ssh://h/system', ''],
    ['QEMU+ssh://h/system', 'QEMU:///system'],
    ['qemu+ssh://h/system?name=qemu:///y&x=1', 'qemu:///y'],
    ['qemu+ssh://h/system?NAME=', ''],
    ['qemu+ssh://h/system#frag', 'qemu:///system#frag'],
    ['qemu+ssh://h/sys%20tem?foo=b%20ar+x&q=a/b:c%27d', 'qemu:///sys%20tem?foo=b%20ar%2Bx&q=a%2Fb%3Ac%27d'],
    ['qemu+ssh://h/system?flag&empty=&a=1;b=2', 'qemu:///system?flag=&empty=&a=1&b=2'],
  ])('of %s is %s', (text, name) => {
    expect(serverName(parseConnectionUri(text))).toBe(name);
  });
});
