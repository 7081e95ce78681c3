// What is said of a move that is open.
import type { MoveStatus } from '@blockferry/engine';
import { describe, expect, it } from 'vitest';
import { sampleMove } from '../../testing/move.ts';
import { statusText } from './status.ts';

const MIB = 1n << 20n;
const move = sampleMove();

describe('the status of a move', () => {
  const running: MoveStatus = {
    move,
    domain: 'running',
    live: 'origin',
    config: 'origin',
    job: { kind: 'ours', state: 'running', cur: 32n * MIB, end: 64n * MIB },
    layers: undefined,
    next: { kind: 'wait', wait: { for: 'ready' } },
  };

  it('tells how far it is and how to go on or undo', () => {
    const text = statusText(running);
    expect(text).toContain('web vda: copying, running');
    expect(text).toContain('50 %, 32.0 MiB of 64.0 MiB');
    expect(text).toContain('blockferry abort web vda');
  });

  it('tells how to switch one that is held', () => {
    const job = { kind: 'ours', state: 'ready', cur: 1n, end: 1n } as const;
    const text = statusText({ ...running, move: sampleMove({ goal: 'hold' }), job });
    expect(text).toContain('ready, held');
    expect(text).toContain('blockferry pivot web vda');
  });

  it('asks where only a person can decide', () => {
    const text = statusText({
      ...running,
      domain: 'off',
      job: { kind: 'none' },
      next: { kind: 'ask', question: 'which-side' },
    });
    expect(text).toContain('blockferry resume web --use source');
    expect(text).toContain('blockferry resume web --use destination');
  });
});
