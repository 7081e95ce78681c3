// libvirt's words for storage and QEMU's say the same place, slice and credentials.
import type { DiskSource } from '@blockferry/libvirt';
import { describe, expect, it, test } from 'vitest';
import { toImage, toRef } from './to-image.ts';

const nbd = (more: object): DiskSource => ({
  kind: 'network',
  protocol: 'nbd',
  name: 'vol',
  hosts: [{ name: 'host', port: '10809' }],
  ...more,
});

test.each<DiskSource>([
  { kind: 'file', path: '/a' },
  { kind: 'block', path: '/dev/x' },
  { kind: 'block', path: '/dev/x', slices: [{ offset: 512n, size: 1024n }] },
  nbd({}),
  nbd({ hosts: [{ transport: 'unix', socket: '/s' }] }),
  nbd({ tls: true, tlsHostname: 'other' }),
  {
    kind: 'network',
    protocol: 'rbd',
    name: 'p/i',
    hosts: [{ name: 'm', port: '6789' }],
    config: '/c',
  },
])('there and back: $kind %#', (source) => {
  expect(toRef(toImage({ source, format: 'raw' }))).toEqual({ source, format: 'raw' });
});

describe('what cannot be told is refused, not guessed', () => {
  it.each<[string, DiskSource, string]>([
    ['a slice under a format', { kind: 'file', path: '/a', slices: [{ offset: 0n, size: 512n }] }, 'qcow2'],
    ['a volume', { kind: 'volume', pool: 'p', volume: 'v' }, 'raw'],
    ['a protocol', { kind: 'network', protocol: 'gluster', name: 'v/i', hosts: [] }, 'raw'],
  ])('%s', (_, source, format) => {
    const refusal = expect.objectContaining({ code: 'unsupported-storage' });
    expect(() => toImage({ source, format })).toThrow(refusal);
  });
});
