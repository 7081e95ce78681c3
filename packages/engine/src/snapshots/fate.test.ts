// What becomes of snapshots: which come along, which stay and why, for every kind of move.
import { type DiskSource, describeSource, SnapshotXml } from '@blockferry/libvirt';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { ImageRef } from '../model/record.ts';
import { type Fate, fateOf, parentsFirst } from './fate.ts';
import { type ImageMove, imageMovesOf } from './image-move.ts';

const image = (path: string, format = 'qcow2'): ImageRef => ({ source: { kind: 'file', path }, format });

type Disk = {
  readonly target?: string;
  readonly mode?: string;
  readonly overlay?: string;
  readonly was: string;
};

/** A snapshot's XML as libvirt writes it: of each disk where it was, and the overlay that the snapshot made. */
function snapshot(name: string, disks: readonly Disk[], parent?: string): string {
  const kept = disks.map(({ target = 'vda', mode, overlay }) => {
    const source = overlay === undefined ? '' : `<driver type='qcow2'/><source file='${overlay}'/>`;
    return mode === undefined ? '' : `<disk name='${target}' snapshot='${mode}'>${source}</disk>`;
  });
  const defined = disks.map(
    ({ target = 'vda', was }) =>
      `<disk type='file'><driver name='qemu' type='qcow2'/><source file='${was}'/><target dev='${target}'/></disk>`,
  );
  const devices = `<devices>${defined.join('')}</devices>`;
  return (
    `<domainsnapshot><name>${name}</name>${parent === undefined ? '' : `<parent><name>${parent}</name></parent>`}` +
    `<disks>${kept.join('')}</disks><domain type='qemu'><name>vm</name>${devices}</domain>` +
    `<inactiveDomain type='qemu'><name>vm</name>${devices}</inactiveDomain></domainsnapshot>`
  );
}

const paths = (xml: string) => [
  ...new Set(
    SnapshotXml.parse(xml)
      .images()
      .map(({ source }) => describeSource(source)),
  ),
];
const outcome = (fate: Fate) => {
  if (fate.kind === 'rewritten') return paths(fate.xml);
  return fate.kind === 'left'
    ? fate.losses.map(({ disk, image, why }) => `${disk} ${image} ${why}`)
    : 'untouched';
};

// base <- mid <- top, moved as each kind of move does it.
const shallow = imageMovesOf({
  disk: 'vda',
  origin: image('/s/top'),
  destination: image('/d/top'),
  sources: [image('/s/top')],
});
const flattened = imageMovesOf({
  disk: 'vda',
  origin: image('/s/top'),
  destination: image('/d/top'),
  sources: ['/s/top', '/s/mid', '/s/base'].map((path) => image(path)),
});
const layered = ['top', 'mid', 'base'].map(
  (name): ImageMove => ({ disk: 'vda', from: image(`/s/${name}`), how: 'bytes', to: image(`/d/${name}`) }),
);

describe('a snapshot whose overlay is the active image', () => {
  const xml = snapshot('s', [{ mode: 'external', overlay: '/s/top', was: '/s/mid' }]);
  test('shallow: names its new place, over the image that stays', () => {
    expect(outcome(fateOf(xml, shallow))).toEqual(['/d/top', '/s/mid']);
  });
  test('the whole chain: names all new places', () => {
    expect(outcome(fateOf(xml, layered))).toEqual(['/d/top', '/d/mid']);
  });
  test('flattened: stays, for the disk has no such layers any more', () => {
    expect(outcome(fateOf(xml, flattened))).toEqual(['vda /s/mid dissolved']);
  });
});

describe('a snapshot whose overlay is further down', () => {
  const xml = snapshot('s', [{ mode: 'external', overlay: '/s/mid', was: '/s/base' }]);
  test('shallow: names nothing that moves', () => {
    expect(outcome(fateOf(xml, shallow))).toBe('untouched');
  });
  test('the whole chain: names all new places', () => {
    expect(outcome(fateOf(xml, layered))).toEqual(['/d/mid', '/d/base']);
  });
});

describe('a snapshot inside the active image', () => {
  const xml = snapshot('s', [{ mode: 'internal', was: '/s/top' }]);
  test('comes along with the bytes of the image', () => {
    expect(outcome(fateOf(xml, layered))).toEqual(['/d/top']);
  });
  test.each([
    ['shallow', shallow],
    ['flattened', flattened],
  ])('%s: stays with the old image, which has it', (_, moves) => {
    expect(outcome(fateOf(xml, moves))).toEqual(['vda /s/top internal']);
  });
  it('is taken for one where old metadata does not tell', () => {
    const old = snapshot('s', [{ was: '/s/top' }]);
    expect(outcome(fateOf(old, shallow))).toEqual(['vda /s/top internal']);
  });
});

test('a snapshot inside an image below: shallow leaves it where it is, flattening loses it', () => {
  const xml = snapshot('s', [{ mode: 'internal', was: '/s/base' }]);
  expect(outcome(fateOf(xml, shallow))).toBe('untouched');
  expect(outcome(fateOf(xml, flattened))).toEqual(['vda /s/base dissolved']);
});

test('a disk that the snapshot leaves alone is in the definition by its new place', () => {
  const xml = snapshot('s', [
    { mode: 'no', was: '/s/top' },
    { target: 'vdb', mode: 'internal', was: '/s/other' },
  ]);
  for (const moves of [shallow, layered, flattened]) {
    expect(outcome(fateOf(xml, moves))).toEqual(['/d/top', '/s/other']);
  }
});

test('one disk that cannot come along keeps the whole snapshot back', () => {
  const xml = snapshot('s', [
    { mode: 'external', overlay: '/s/top', was: '/s/mid' },
    { target: 'vdb', mode: 'internal', was: '/s/other' },
  ]);
  const other: ImageMove = { disk: 'vdb', from: image('/s/other'), how: 'contents', to: image('/d/other') };
  expect(outcome(fateOf(xml, [...layered, other]))).toEqual(['vdb /s/other internal']);
});

test('an overlay outside the chain stays, and its snapshot with it', () => {
  const xml = snapshot('s', [{ mode: 'external', overlay: '/s/abandoned', was: '/s/base' }]);
  expect(outcome(fateOf(xml, layered))).toEqual(['vda /s/abandoned branch']);
  expect(outcome(fateOf(xml, shallow))).toBe('untouched');
});

test('what the storage itself keeps of an image stays', () => {
  const xml = snapshot('s', [{ mode: 'manual', was: '/s/top' }]);
  expect(outcome(fateOf(xml, layered))).toEqual(['vda /s/top manual']);
});

test('another disk on the same image is not the one that moves', () => {
  const xml = snapshot('s', [{ target: 'vdb', mode: 'external', overlay: '/s/x', was: '/s/base' }]);
  expect(outcome(fateOf(xml, layered))).toBe('untouched');
});

test('another name of the image is known to whoever can tell', () => {
  const xml = snapshot('s', [{ mode: 'external', overlay: '/link/top', was: '/s/mid' }]);
  const alias = (source: DiskSource) => describeSource(source).replace('/link/', '/s/');
  expect(outcome(fateOf(xml, shallow))).toBe('untouched');
  expect(outcome(fateOf(xml, shallow, (a, b) => alias(a) === alias(b)))).toEqual(['/d/top', '/s/mid']);
});

test('images that change places are refused: what is rewritten already could not be told', () => {
  const to = (from: string, name: string): ImageMove => ({
    disk: 'vda',
    from: image(from),
    how: 'bytes',
    to: image(name),
  });
  expect(() => fateOf(snapshot('s', []), [to('/a', '/b'), to('/b', '/c')])).toThrow(TypeError);
});

const names = ['base', 'mid', 'top', 'away', 'other'] as const;
const anyDisk = fc.record(
  {
    target: fc.constantFrom('vda', 'vdb'),
    mode: fc.constantFrom('internal', 'external', 'manual', 'no'),
    was: fc.constantFrom(...names).map((name) => `/s/${name}`),
  },
  { requiredKeys: ['was'] },
);
const anySnapshot = fc
  .tuple(
    fc.uniqueArray(anyDisk, { selector: ({ target }) => target ?? 'vda' }),
    fc.constantFrom(...names),
    fc.constantFrom('', '<!-- <disk/> -->', `<x:y xmlns:x='urn:x'>&#x41;</x:y>`, '<cookie>\n</cookie>'),
  )
  .map(([disks, overlay, foreign]) => {
    const made = disks.map((disk) =>
      disk.mode === 'external' ? { ...disk, overlay: `/s/${overlay}` } : disk,
    );
    return snapshot('s', made).replace('</domainsnapshot>', `${foreign}</domainsnapshot>`);
  });
const anyMoves = fc.constantFrom(shallow, flattened, layered);

describe('of any snapshot', () => {
  it('asked again, there is nothing left to do', () => {
    fc.assert(
      fc.property(anySnapshot, anyMoves, (xml, moves) => {
        const fate = fateOf(xml, moves);
        const again = fateOf(fate.kind === 'rewritten' ? fate.xml : xml, moves);
        if (fate.kind === 'rewritten') expect(again.kind).toBe('untouched');
        else expect(again).toEqual(fate);
      }),
    );
  });

  it('no old place is named any more when it comes along, and nothing but places changes', () => {
    fc.assert(
      fc.property(anySnapshot, anyMoves, (xml, moves) => {
        const fate = fateOf(xml, moves);
        if (fate.kind !== 'rewritten') return;
        const images = SnapshotXml.parse(fate.xml)
          .images()
          .filter(({ target }) => target === 'vda');
        const old = moves.map(({ from }) => describeSource(from.source));
        for (const { source } of images) expect(old).not.toContain(describeSource(source));
        expect(fate.xml.replaceAll('/d/', '/s/')).toBe(xml);
      }),
    );
  });

  it('it comes along whole or not at all', () => {
    fc.assert(
      fc.property(anySnapshot, anyMoves, (xml, moves) => {
        const fate = fateOf(xml, moves);
        const moving = SnapshotXml.parse(xml)
          .images()
          .filter(({ target, source }) =>
            moves.some(
              ({ disk, from }) => disk === target && describeSource(from.source) === describeSource(source),
            ),
          );
        expect(fate.kind === 'untouched').toBe(moving.length === 0);
        if (fate.kind === 'left') expect(fate.losses.length).toBeGreaterThan(0);
      }),
    );
  });
});

describe('the order', () => {
  const tree = fc.uniqueArray(
    fc.record({ name: fc.nat(9).map(String), parent: fc.option(fc.nat(9).map(String), { nil: undefined }) }),
    { selector: ({ name }) => name },
  );

  it('has all of them once, and parents before children unless they go in a circle', () => {
    fc.assert(
      fc.property(tree, (snapshots) => {
        const ordered = parentsFirst(snapshots);
        expect(new Set(ordered)).toEqual(new Set(snapshots));
        expect(ordered.length).toBe(snapshots.length);
        // Without circles a parent has a lower number here.
        const straight = snapshots.filter(({ name, parent }) => parent === undefined || parent < name);
        const at = new Map(parentsFirst(straight).map(({ name }, index) => [name, index]));
        for (const { name, parent } of straight) {
          const before = parent === undefined ? undefined : at.get(parent);
          if (before !== undefined) expect(before).toBeLessThan(at.get(name) ?? -1);
        }
      }),
    );
  });
});
