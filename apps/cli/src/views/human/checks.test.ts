// What doctor and cleanup say.
import type { Leftover } from '@blockferry/engine';
import { describe, expect, it } from 'vitest';
import { sampleMove } from '../../testing/move.ts';
import { checkText } from './checks.ts';
import { leftoverText } from './leftovers.ts';

const move = sampleMove();

describe('what doctor and cleanup say', () => {
  it('is a remedy for what is missing', () => {
    const check = {
      id: 'x',
      title: 'qemu-img',
      status: 'missing',
      found: 'not there',
      remedy: 'apt install it',
    };
    expect(checkText({ ...check, status: 'missing' })).toMatch(
      /MISSING +qemu-img: not there\n +→ apt install it/,
    );
  });

  it('is what would be removed, or why it is kept', () => {
    const journal = { path: '/new/.web.qcow2.blockferry' } as Leftover['journal'];
    const text = leftoverText({ journal, move, verdict: { kind: 'remove-copy', paths: ['/new/web.qcow2'] } });
    expect(text).toContain('remove /new/web.qcow2\n');
    expect(text).toContain('remove /new/.web.qcow2.blockferry');
    const kept = leftoverText({ journal, move, verdict: { kind: 'keep', why: 'it is used', hint: 'wait' } });
    expect(kept).toContain('kept: it is used');
    expect(kept).not.toContain('remove');
  });
});
