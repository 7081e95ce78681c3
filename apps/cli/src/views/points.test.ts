import type { Manifest, Point } from '@blockferry/engine';
import { expect, it } from 'vitest';
import { pointLine, pointsText, pruneText } from './points.ts';

const FULL = '2026-11-28T15-00-00Z-full';
const INCREMENT = '2026-11-28T16-00-00Z-incremental';

function sealed(point: string, more: Partial<Manifest>): Point {
  const manifest: Manifest = {
    version: 1,
    id: 'aaaaaaaa',
    set: 'bbbbbbbb',
    point,
    kind: 'full',
    domain: { name: 'web', uuid: 'u' },
    time: '2026-11-28T15:00:00Z',
    running: true,
    quiesced: false,
    disks: [
      {
        target: 'vda',
        capacity: 1n << 30n,
        source: '/images/web.qcow2',
        format: 'qcow2',
        images: [{ path: 'vda.qcow2', format: 'qcow2' }],
      },
    ],
    files: [{ path: 'vda.qcow2', size: 3n << 20n, sha256: 'ab'.repeat(32) }],
    ...more,
  };
  return { kind: 'sealed', name: point, manifest };
}

const full = sealed(FULL, {});
const increment = sealed(INCREMENT, { kind: 'incremental', parent: FULL, quiesced: true });

it('lists points with what is to be known of each', () => {
  expect(pointsText([full, increment, { kind: 'unfinished', name: '2026-11-28T17-00-00Z-full' }], '/b')).toBe(
    [
      'POINT                             SIZE     DOMAIN  DISKS  NOTES',
      '2026-11-28T15-00-00Z-full         3.0 MiB  web     vda',
      '2026-11-28T16-00-00Z-incremental  3.0 MiB  web     vda    quiesced',
      '2026-11-28T17-00-00Z-full                                 not finished: under way, or torn',
      '',
    ].join('\n'),
  );
});

it('says which point cannot be used, and why', () => {
  expect(pointsText([increment], '/b')).toContain(`cannot be used: ${FULL} is missing`);
  expect(pointLine(increment, [increment])).toMatchObject({
    state: 'sealed',
    problem: `${FULL} is missing`,
  });
  expect(pointLine(increment, [full, increment])).toMatchObject({ parent: FULL, bytes: 3n << 20n });
});

it('says what a prune keeps, and why', () => {
  const manifest = full.kind === 'sealed' ? full.manifest : undefined;
  if (manifest === undefined) throw new Error('sealed above');
  expect(pruneText({ keep: [{ manifest, why: ['newest', 'last'] }], spare: [], remove: [INCREMENT] })).toBe(
    `keep    ${FULL}  newest, last\nremove  ${INCREMENT}\n`,
  );
});
