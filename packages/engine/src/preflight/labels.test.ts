// Which labels of a disk's <source> come along.
import type { DiskDefinition } from '@blockferry/libvirt';
import { expect, test } from 'vitest';
import type { Destination } from './destination.ts';
import { labelWarnings, withLabels } from './labels.ts';

const UNTOUCHED = "<seclabel model='dac' relabel='no'/>";
const OWNED = "<seclabel model='dac' relabel='yes'>\n  <label>+1:+2</label>\n</seclabel>";
const CONTEXT = "<seclabel model='selinux' relabel='no'/>";

const disk = (seclabel?: string) => {
  const source = { kind: 'file', path: '/a', ...(seclabel && { seclabel }) };
  return { disk: { target: 'vda', source } as DiskDefinition };
};
const file: Destination = {
  image: { source: { kind: 'file', path: '/b' }, format: 'qcow2' },
  ownership: { kind: 'created' },
  stat: null,
};
const device: Destination = { ...file, image: { source: { kind: 'block', path: '/dev/b' }, format: 'raw' } };

const labelled = (seclabel: string | undefined, destination = file) => {
  const found = withLabels(disk(seclabel), {}, destination);
  const { source } = found.image;
  return {
    seclabel: source.kind === 'other' ? undefined : source.seclabel,
    said: labelWarnings(disk(seclabel), found).map(({ code }) => code),
  };
};

test('to a file they do, and nothing is said', () => {
  for (const seclabel of [UNTOUCHED, OWNED, UNTOUCHED + OWNED]) {
    expect(labelled(seclabel)).toEqual({ seclabel, said: [] });
  }
  expect(labelled(undefined)).toEqual({ seclabel: undefined, said: [] });
});

test('a context that libvirt is not to set, and that our files do not have, does not: said', () => {
  expect(labelled(CONTEXT)).toEqual({ seclabel: undefined, said: ['label-lost'] });
  expect(labelled(CONTEXT + OWNED)).toEqual({ seclabel: OWNED, said: ['label-lost'] });
});

test('a device, a volume, and what XML describes keep their own: said', () => {
  expect(labelled(UNTOUCHED, device)).toEqual({ seclabel: undefined, said: ['label-lost'] });
  const volume = { kind: 'volume', pool: 'p', volume: 'v', capacity: 1n } as const;
  expect(labelled(UNTOUCHED, { ...file, ownership: volume }).said).toEqual(['label-lost']);
  expect(withLabels(disk(UNTOUCHED), { destinationXml: '<disk/>' }, file)).toBe(file);
});
