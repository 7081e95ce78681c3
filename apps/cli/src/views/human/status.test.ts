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
    atWork: false,
    next: { kind: 'wait', wait: { for: 'ready' } },
  };

  it('tells how far it is and how to go on or undo', () => {
    const text = statusText(running);
    expect(text).toContain('web vda: copying, running');
    expect(text).toContain('50 %, 32.0 MiB of 64.0 MiB');
    expect(text).toContain('blockferry abort web vda');
  });

  it('tells whether a blockferry is at work on it, and offers to go on only where none is', () => {
    const layered = {
      job: { kind: 'none' },
      layers: { copied: MIB, verified: 0n, total: 2n * MIB },
    } as const;
    const status: MoveStatus = { ...running, ...layered, live: 'overlay' };
    const stopped = statusText(status);
    expect(stopped).toContain('web vda: copying; no blockferry is at work on it');
    expect(stopped).toContain('→ go on: blockferry resume web');
    const worked = statusText({ ...status, atWork: true });
    expect(worked).toContain('web vda: copying; a blockferry is at work on it');
    expect(worked).not.toContain('resume');
    expect(statusText({ ...status, atWork: undefined })).toContain('→ go on, if no blockferry does: ');
  });

  it('offers to undo nothing once the guest has left its source', () => {
    for (const live of ['carrier', 'destination'] as const) {
      const text = statusText({ ...running, live, move: sampleMove({ phase: 'pivoting' }) });
      expect(text).toContain('→ go on: blockferry resume web');
      expect(text).not.toContain('undo');
    }
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

  it('offers no answer that nobody can give', () => {
    const text = statusText({ ...running, next: { kind: 'ask', question: 'phantom-mirror' } });
    expect(text).not.toContain('--use');
    expect(text).toContain('blockferry resume web');
  });

  it('tells what helps a commit that is held, and whose domain is off', () => {
    const shorten = { chain: [move.origin, move.destination], keepRelative: false };
    const held = sampleMove({ strategy: 'commit', goal: 'hold', shorten });
    const text = statusText({ ...running, move: held, domain: 'off', live: 'none', job: { kind: 'none' } });
    expect(text).toContain('→ commit it while it is off: blockferry pivot web vda');
    expect(text).not.toContain('go on: ');
  });
});
