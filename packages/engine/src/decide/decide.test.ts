// The decisions a reader looks up first, one by one; the simulation tries all the others.
import { describe, expect, it } from 'vitest';
import type { MoveRecord } from '../model/record.ts';
import type { World } from '../model/world.ts';
import { decide, MAX_STARTS } from './decide.ts';

const move: MoveRecord = {
  version: 1,
  id: 'm',
  domain: { name: 'vm', uuid: 'u' },
  disk: 'vda',
  strategy: 'mirror',
  scope: 'shallow',
  origin: { source: { kind: 'file', path: '/a' }, format: 'qcow2' },
  destination: { source: { kind: 'file', path: '/b' }, format: 'qcow2' },
  ownership: { kind: 'created' },
  sources: [],
  jobMode: 'transient-job',
  options: { synchronousWrites: false, converge: false, deleteSource: false },
  destinationXml: '<disk/>',
  phase: 'copying',
  goal: 'pivot',
};

function recordedAs(phase: MoveRecord['phase'], goal: MoveRecord['goal'] = 'pivot'): World['recorded'] {
  return { live: { phase, goal }, config: { phase, goal }, journal: { phase, goal } };
}

const copying: World = {
  domain: 'running',
  persistent: true,
  live: 'origin',
  config: 'origin',
  job: { kind: 'ours', state: 'running', cur: 1n, end: 2n },
  recorded: recordedAs('copying'),
  sameInstance: true,
  destination: 'ours',
  answers: 'not-asked',
  qemuWrites: 'not-asked',
  savedDefinition: false,
  sourceRemains: true,
  sides: 'not-asked',
  witnessed: 'nothing',
  diverging: false,
  starts: 1,
};
const ready: World = { ...copying, job: { kind: 'ours', state: 'ready', cur: 2n, end: 2n }, answers: 'yes' };
const noJob: World = { ...copying, job: { kind: 'none' } };

describe('decide', () => {
  it('writes the intent before it does anything', () => {
    const fresh = {
      ...noJob,
      destination: 'absent' as const,
      recorded: { live: undefined, config: undefined, journal: undefined },
    };
    expect(decide(fresh, move)).toMatchObject({ kind: 'act', step: { name: 'record' } });
    const repaired = { ...ready, recorded: { ...recordedAs('pivoting'), config: undefined } };
    expect(decide(repaired, { ...move, phase: 'pivoting' })).toMatchObject({ step: { name: 'record' } });
  });

  it('records the intent to pivot, and only then pivots', () => {
    expect(decide(ready, move)).toMatchObject({ phase: 'pivoting', step: { name: 'record' } });
    const intended = { ...ready, recorded: recordedAs('pivoting') };
    expect(decide(intended, { ...move, phase: 'pivoting' })).toMatchObject({ step: { name: 'pivot' } });
  });

  it('does not take a vanished job for success: it copies again', () => {
    expect(decide(noJob, move)).toMatchObject({ step: { name: 'discard-copy' } });
    expect(decide({ ...noJob, destination: 'claimed' }, move)).toMatchObject({
      step: { name: 'start-copy' },
    });
  });

  it('goes back by itself when the copy failed, was canceled by others, or keeps vanishing', () => {
    for (const seen of [
      { ...noJob, witnessed: 'failed' as const },
      { ...noJob, witnessed: 'canceled' as const },
      { ...noJob, starts: MAX_STARTS },
    ]) {
      expect(decide(seen, move)).toMatchObject({ phase: 'undoing', goal: 'abort', step: { name: 'record' } });
    }
  });

  it('waits at ready for a destination that does not answer', () => {
    expect(decide({ ...ready, answers: 'silent' }, move)).toEqual({
      kind: 'wait',
      wait: { for: 'destination' },
    });
  });

  it('does not cancel a mirror whose destination hangs, which would stop the guest', () => {
    const aborted = { ...copying, answers: 'silent' as const, recorded: recordedAs('undoing', 'abort') };
    const undoing = { ...move, phase: 'undoing' as const, goal: 'abort' as const };
    expect(decide(aborted, undoing)).toEqual({ kind: 'wait', wait: { for: 'destination' } });
    expect(decide({ ...aborted, answers: 'yes' }, undoing)).toMatchObject({ step: { name: 'cancel-job' } });
  });

  it('asks a person when QEMU died while pivoting and the images differ', () => {
    const off = {
      ...noJob,
      domain: 'off' as const,
      live: 'none' as const,
      recorded: { ...recordedAs('pivoting'), live: 'unavailable' as const },
    };
    const pivoting = { ...move, phase: 'pivoting' as const };
    expect(decide(off, pivoting)).toMatchObject({ step: { name: 'compare-sides' } });
    expect(decide({ ...off, sides: 'differ' }, pivoting)).toEqual({ kind: 'ask', question: 'which-side' });
    expect(decide({ ...off, sides: 'same' }, pivoting)).toMatchObject({
      phase: 'copying',
      step: { name: 'record' },
    });
    expect(decide({ ...off, sides: 'differ' }, { ...pivoting, use: 'destination' })).toMatchObject({
      phase: 'settling',
    });
  });

  it('corrects a persistent definition that libvirt left on the source', () => {
    const pivoted = { ...noJob, live: 'destination' as const, recorded: recordedAs('settling') };
    expect(decide(pivoted, { ...move, phase: 'settling' })).toMatchObject({
      step: { name: 'fix-definition', on: 'destination' },
    });
  });

  it('leaves a definition that names a third image to whoever wrote it', () => {
    const pivoted = { ...noJob, live: 'destination' as const, config: 'elsewhere' as const };
    expect(decide(pivoted, move)).toMatchObject({ step: { name: 'close', outcome: { kind: 'moved' } } });
  });

  it('stops at ready when asked to hold, with nothing more to write', () => {
    const held = { ...ready, recorded: recordedAs('copying', 'hold') };
    expect(decide(held, { ...move, goal: 'hold' })).toEqual({ kind: 'end', outcome: { kind: 'ready' } });
  });

  it('never removes a destination that existed before', () => {
    const aborted = { ...noJob, recorded: recordedAs('undoing', 'abort') };
    const reused = {
      ...move,
      ownership: { kind: 'reused' as const },
      phase: 'undoing' as const,
      goal: 'abort' as const,
    };
    expect(decide(aborted, reused)).toMatchObject({ step: { name: 'close', outcome: { kind: 'back' } } });
  });
});
