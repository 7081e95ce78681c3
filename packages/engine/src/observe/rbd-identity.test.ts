// Two names of one RBD image are seen to be the same, and equal names in two clusters are told apart.
import type { DiskSource } from '@blockferry/libvirt';
import { describe, expect, it, test } from 'vitest';
import { type Clusters, DEFAULT_CONF, maybeSameRbdImage, parseCephConf } from './rbd-identity.ts';

const FULL = `
[global]
  fsid = A1B2
  mon host = [v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0] [v2:[fd00::2]:3300/0,v1:[fd00::2]:6789/0] ; two
[client]
  fsid = other
`;

test('a ceph.conf, however its names are spelt', () => {
  expect(parseCephConf(FULL)).toEqual({
    fsid: 'a1b2',
    monitors: [
      { host: '10.0.0.1', port: '3300' },
      { host: '10.0.0.1', port: '6789' },
      { host: 'fd00::2', port: '3300' },
      { host: 'fd00::2', port: '6789' },
    ],
  });
  expect(parseCephConf('mon_host=a, b:6790\n')).toEqual({
    fsid: undefined,
    monitors: [
      { host: 'a', port: undefined },
      { host: 'b', port: '6790' },
    ],
  });
});

const rbd = (more: object): DiskSource => ({
  kind: 'network',
  protocol: 'rbd',
  name: 'p/i',
  hosts: [],
  ...more,
});

const at = (name: string, port?: string) => ({ hosts: [port === undefined ? { name } : { name, port }] });

const clusters: Clusters = new Map([
  ['/full', parseCephConf(FULL)],
  ['/same', parseCephConf('fsid = a1b2\nmon host = 10.0.0.9\n')],
  ['/other', parseCephConf('fsid = c3d4\nmon host = 10.0.0.1\n')],
  ['/bare', parseCephConf('mon host = 10.0.0.7\n')],
]);

describe.each<[string, object, object, boolean]>([
  ['one fsid', { config: '/full' }, { config: '/same' }, true],
  ['two fsids', { config: '/full' }, { config: '/other' }, false],
  ['a configuration and one of its monitors', { config: '/full' }, at('10.0.0.1', '6789'), true],
  ['a configuration and a monitor of another cluster', { config: '/full' }, at('10.0.0.5'), false],
  ['a configuration and another port', { config: '/full' }, at('10.0.0.1', '7000'), false],
  ['an address and a name', at('10.0.0.1'), at('mon1'), true],
  ['two addresses', at('10.0.0.1'), at('10.0.0.2'), false],
  ['a configuration that cannot be read', { config: '/none' }, at('10.0.0.2'), true],
  ['the default, which cannot be read', {}, { config: '/full' }, true],
  ['two configurations without an fsid', { config: '/bare' }, { config: '/full' }, false],
])('%s', (_, a, b, same) => {
  it(same ? 'may be the same image' : 'is another image', () => {
    expect(maybeSameRbdImage(rbd(a), rbd(b), clusters)).toBe(same);
    expect(maybeSameRbdImage(rbd(b), rbd(a), clusters)).toBe(same);
  });
});

test('another image, another protocol, and a path are never the same', () => {
  const one = rbd({ config: '/full' });
  expect(maybeSameRbdImage(one, rbd({ config: '/full', name: 'p/j' }), clusters)).toBe(false);
  expect(maybeSameRbdImage(one, rbd({ config: '/full', protocol: 'nbd' }), clusters)).toBe(false);
  expect(maybeSameRbdImage(one, { kind: 'file', path: 'p/i' }, clusters)).toBe(false);
  expect(clusters.has(DEFAULT_CONF)).toBe(false);
});
