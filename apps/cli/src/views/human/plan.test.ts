// What a plan says to people.
import type { Plan } from '@blockferry/engine';
import { describe, expect, it } from 'vitest';
import { sampleMove } from '../../testing/move.ts';
import { planBlock, planWithSteps } from './plan.ts';

const MIB = 1n << 20n;
const move = sampleMove();
const base = { source: { kind: 'file', path: '/old/base.qcow2' }, format: 'qcow2' } as const;
const plan: Plan = {
  move,
  steps: [{ step: 'start-copy', what: 'mirror the active image', leaves: 'an unfinished copy' }],
  warnings: [{ code: 'backing-becomes-absolute', message: 'the copy will name its backing file absolutely' }],
  why: 'asked for',
  bytes: 12n * MIB,
  capacity: 64n * MIB,
  chainBefore: [move.origin, base],
  chainAfter: [move.destination, base],
  copies: undefined,
};

describe('a plan', () => {
  it('says from where to where, how much, and the chain it makes', () => {
    const text = planBlock(plan);
    expect(text).toContain('web vda: 12.0 MiB to copy (disk of 64.0 MiB, shallow)');
    expect(text).toContain('/old/web.qcow2 (qcow2)');
    expect(text).toContain('/new/web.qcow2 (qcow2, new)');
    expect(text).toContain('/old/base.qcow2 <- /new/web.qcow2');
  });

  it('names what each step leaves behind', () => {
    expect(planWithSteps(plan)).toMatch(/1\. mirror the active image\n.*an unfinished copy/);
  });
});
