// Disks and destinations as they are typed.
import { describe, expect, it } from 'vitest';
import { UsageError } from './usage-error.ts';
import { onlyDisk, whichDisks } from './which-disks.ts';

describe('the disks of a move', () => {
  it('are one, with its destination', () => {
    expect(whichDisks(['vda', '/fast/'], {})).toEqual({ kind: 'one', disk: 'vda', destination: '/fast/' });
    expect(whichDisks(['vda'], {})).toEqual({ kind: 'one', disk: 'vda', destination: undefined });
  });

  it('are one when an image is named whose path has an equals sign', () => {
    const one = { kind: 'one', disk: '/images/a=b.qcow2', destination: '/fast/' };
    expect(whichDisks(['/images/a=b.qcow2', '/fast/'], {})).toEqual(one);
  });

  it('are several, each with its destination, which may hold anything', () => {
    expect(whichDisks(['vda=/fast/', 'sdb=/a=b c'], {})).toEqual({
      kind: 'together',
      disks: [
        { disk: 'vda', destination: '/fast/' },
        { disk: 'sdb', destination: '/a=b c' },
      ],
    });
  });

  it('have the name of one only where one is meant', () => {
    expect(onlyDisk(['vda', '/fast'], {})).toBe('vda');
    expect(onlyDisk(['vda=/fast'], {})).toBeUndefined();
    expect(onlyDisk([], { all: '/fast' })).toBeUndefined();
  });

  it('are all', () => {
    expect(whichDisks([], { all: '/fast' })).toEqual({ kind: 'together', disks: { allTo: '/fast' } });
  });

  it.each([
    ['none', [], {}],
    ['all, and one more', ['vda'], { all: '/fast' }],
    ['a pair and a word', ['vda=/fast', 'vdb'], {}],
    ['three words', ['vda', '/fast', 'vdb'], {}],
    ['one, paused with the others', ['vda', '/fast'], { groupPause: true }],
  ])('are refused when they are %s', (_, words, options) => {
    expect(() => whichDisks(words, options)).toThrow(UsageError);
  });
});
