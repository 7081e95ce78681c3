import { describe, expect, it } from 'vitest';
import { formatManifest, parseManifest } from './manifest.ts';
import type { Manifest } from './model.ts';

const SECRET = '0aa7a40c-6d49-4c1b-9f51-7a1a6f3d1c55';

const manifest: Manifest = {
  version: 1,
  id: 'aaaaaaaa',
  set: 'bbbbbbbb',
  point: '2026-11-28T15-00-00Z-incremental',
  kind: 'incremental',
  parent: '2026-11-28T14-00-00Z-full',
  domain: { name: 'a/b "c"', uuid: 'u' },
  time: '2026-11-28T15:00:00Z',
  running: true,
  quiesced: false,
  checkpoint: 'blockferry-bbbbbbbb-aaaaaaaa-0',
  disks: [
    {
      target: 'vda',
      capacity: 2n ** 60n,
      source: '/images/web.qcow2',
      format: 'qcow2',
      images: [
        { path: 'vda.qcow2', format: 'qcow2', secret: SECRET },
        { path: 'vda-1.qcow2', format: 'qcow2' },
      ],
    },
  ],
  files: [{ path: 'vda.qcow2', size: 2n ** 55n, sha256: 'ab'.repeat(32) }],
};

const changed = (change: (text: string) => string) => () => parseManifest(change(formatManifest(manifest)));

describe('a manifest', () => {
  it('comes back as it was written, large numbers too', () => {
    expect(parseManifest(formatManifest(manifest))).toEqual(manifest);
  });

  it.each([
    ['is torn', (text: string) => text.slice(0, -20)],
    ['is of another version', (text: string) => text.replace('"version": 1', '"version": 2')],
    ['is of something else', (text: string) => text.replace('"backup"', '"move"')],
    ['has a secret that is no UUID', (text: string) => text.replace(SECRET, "x'/>")],
    ['names an image elsewhere', (text: string) => text.replaceAll('vda.qcow2', '../../etc/shadow')],
    ['names a parent elsewhere', (text: string) => text.replace('2026-11-28T14', '/2026-11-28T14')],
    ['has no sum', (text: string) => text.replace(/"sha256": "\w+"/, '"sha256": ""')],
    ['has no disks', (text: string) => text.replace('"disks"', '"disk"')],
  ])('that %s is not read', (_, change) => {
    expect(changed(change)).toThrow(/cannot be read/);
  });
});
