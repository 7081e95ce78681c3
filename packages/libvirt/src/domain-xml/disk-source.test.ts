// Which sources are the same storage, and what they are called.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diskSource } from '../../test/domain-xml/arbitrary.ts';
import { type DiskSource, describeSource, sameSource } from './disk-source.ts';

const file = (path: string): DiskSource => ({ kind: 'file', path });
const volume = (name: string) => ({ kind: 'volume', pool: 'p', volume: name }) as const;
const network = (more: Partial<Extract<DiskSource, { kind: 'network' }>>): DiskSource => ({
  kind: 'network',
  protocol: 'nbd',
  hosts: [{ name: 'host' }],
  ...more,
});

describe('sameSource', () => {
  it('holds for every source and itself, whatever its details', () => {
    fc.assert(
      fc.property(diskSource, (source) => {
        expect(
          sameSource(source, { ...source, slices: undefined, seclabel: undefined, auth: '<auth/>' }),
        ).toBe(true);
      }),
    );
  });

  it.each<[string, DiskSource, DiskSource]>([
    ['a path written with more slashes', file('/a//b/./c'), file('/a/b/c')],
    ['a volume and its place', volume('v'), { ...file('/v'), named: volume('v') }],
    ['one path as file and as block device', file('/dev/x'), { kind: 'block', path: '/dev/x' }],
    [
      'a default port, spelt out or not',
      network({}),
      network({ hosts: [{ name: 'HOST', port: '10809', transport: 'tcp' }] }),
    ],
    ['no export name and an empty one', network({}), network({ name: '' })],
    [
      'monitors in another order',
      network({ protocol: 'rbd', name: 'p/i', hosts: [{ name: 'a' }, { name: 'b' }] }),
      network({ protocol: 'rbd', name: 'p/i', hosts: [{ name: 'b' }, { name: 'a' }] }),
    ],
    ['TLS said or not, as libvirt adds tls=no', network({}), network({ tls: false })],
  ])('sees through %s', (_what, a, b) => {
    expect(sameSource(a, b)).toBe(true);
  });

  it.each<[string, DiskSource, DiskSource]>([
    ['paths', file('/a'), file('/b')],
    ['a path and what it may link to', file('/a/../b'), file('/b')],
    ['a relative and an absolute path', file('a'), file('/a')],
    ['a volume and the place of another', volume('v'), { ...file('/w'), named: volume('w') }],
    ['a volume and a path', volume('v'), file('/v')],
    ['exports', network({ name: 'a' }), network({ name: 'b' })],
    ['ports', network({}), network({ hosts: [{ name: 'host', port: '1' }] })],
    ['protocols', network({}), network({ protocol: 'iscsi' })],
    ['a host and a socket', network({}), network({ hosts: [{ transport: 'unix', socket: '/host' }] })],
    ['snapshots of an image', network({ protocol: 'rbd' }), network({ protocol: 'rbd', snapshot: 's' })],
    [
      'clusters named by their configuration',
      network({ hosts: [], config: '/a' }),
      network({ hosts: [], config: '/b' }),
    ],
    ['volumes', { kind: 'volume', pool: 'p', volume: 'a' }, { kind: 'volume', pool: 'p', volume: 'b' }],
  ])('tells apart %s', (_what, a, b) => {
    expect(sameSource(a, b)).toBe(false);
  });
});

describe('describeSource', () => {
  it.each<[DiskSource, string]>([
    [file('/a b/ü'), '/a b/ü'],
    [{ kind: 'block', path: '/dev/x' }, '/dev/x'],
    [network({ hosts: [{ name: 'h', port: '10810' }], name: 'disk 1' }), 'nbd://h:10810/disk%201'],
    [network({ hosts: [{ name: 'fe80::1' }], tls: true }), 'nbds://[fe80::1]/'],
    [
      network({ hosts: [{ transport: 'unix', socket: '/run/n.sock' }], name: 'e' }),
      'nbd+unix:///e?socket=/run/n.sock',
    ],
    [network({ protocol: 'rbd', name: 'pool/image' }), 'rbd:pool/image'],
    [network({ protocol: 'rbd', name: 'pool/image', snapshot: 's' }), 'rbd:pool/image@s'],
    [network({ protocol: 'https', name: 'a/b', query: 'k=v' }), 'https://host/a/b?k=v'],
    [{ kind: 'volume', pool: 'P', volume: 'v' }, 'pool:P/v'],
    [
      {
        kind: 'nvme',
        namespace: '1',
        address: { domain: '0x0000', bus: '0xa', slot: '0x00', function: '0x0' },
      },
      'nvme://0000:0a:00.0/1',
    ],
    [{ kind: 'vhostuser', path: '/s' }, 'vhostuser:/s'],
    [{ kind: 'other', type: 'ctl', xml: '<source/>' }, 'ctl disk'],
  ])('%o is %s', (source, name) => {
    expect(describeSource(source)).toBe(name);
  });
});
