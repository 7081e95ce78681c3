// Chains that are more, or less, than their files.
import { expect, test } from 'vitest';
import { cannotBeCopiedBytewise } from './bytewise.ts';
import type { Situation } from './situation.ts';

type Image = NonNullable<Situation['chain']>[number];

const image = (path: string, format: string, more: Partial<Image> = {}): Image => ({
  image: { location: { kind: 'file', path }, format },
  length: null,
  stat: null,
  virtualSize: 1n << 20n,
  allocated: 0n,
  clusterSize: null,
  backing: null,
  encryption: null,
  snapshots: [],
  bitmaps: [],
  dirty: false,
  corrupt: false,
  dataFile: null,
  compat: null,
  extendedL2: false,
  lazyRefcounts: false,
  refcountBits: null,
  compressionType: null,
  ...more,
});
const over = (reference: string, format: string) => ({
  backing: { reference, format, relative: false, declared: true },
});

const split = image('/a', 'qcow2', { dataFile: { reference: '/a.data', raw: true } });
const flat = image('/b', 'vmdk', { dataFile: { reference: '/b-flat.vmdk', raw: false } });
const top = image('/t', 'qcow2', over('/b', 'vmdk'));

test('files of qcow2, raw, or any format without a backing file are what they hold', () => {
  const chain = [top, image('/m', 'qed', over('/b', 'vdi')), image('/b', 'vdi')];
  for (const scope of ['chain', 'shallow', 'flatten'] as const) {
    expect(cannotBeCopiedBytewise({ chain }, { scope })).toBeUndefined();
  }
});

test.each<[string, readonly Image[], string]>([
  ['an external data file', [split], '/a.data'],
  ['the extents of a VMDK below', [top, flat], '/b-flat.vmdk'],
  ['a backing link that nobody can rewrite', [top, image('/b', 'vmdk', over('/c', 'vmdk'))], 'is vmdk'],
])('not so: %s', (_, chain, words) => {
  expect(cannotBeCopiedBytewise({ chain }, { scope: 'chain' })).toContain(words);
  expect(cannotBeCopiedBytewise({ chain }, { scope: 'flatten' })).toBeUndefined();
});

test('what is shared with the source is not looked at', () => {
  expect(cannotBeCopiedBytewise({ chain: [top, flat] }, { scope: 'shallow' })).toBeUndefined();
});
