import { describe, expect, it } from 'vitest';
import { type BackupStep, type BackupWorld, decideBackup } from './decide.ts';
import type { BackupRecord } from './model.ts';

const world = (changes: Partial<BackupWorld> = {}): BackupWorld => ({
  domain: 'running',
  job: 'none',
  witnessed: 'nothing',
  arrived: false,
  checkpoint: false,
  point: true,
  sealed: false,
  prepared: true,
  tidied: false,
  copies: 'none',
  retries: 0,
  ...changes,
});

const record = (changes: Partial<BackupRecord> = {}): BackupRecord => ({
  version: 1,
  id: 'aaaaaaaa',
  set: 'bbbbbbbb',
  domain: { name: 'vm', uuid: 'u' },
  directory: '/backup',
  point: '2026-11-28T15-00-00Z-incremental',
  kind: 'incremental',
  time: '2026-11-28T15:00:00Z',
  copying: { flatten: false, compressed: false, verify: true },
  running: true,
  quiesce: 'auto',
  disks: [],
  checkpoint: 'new',
  attempt: 0,
  phase: 'copying',
  goal: 'finish',
  revision: 0,
  ...changes,
});

const stepOf = (seen: BackupWorld, of: BackupRecord): BackupStep['name'] | 'wait' | 'end' => {
  const decision = decideBackup(seen, of);
  return decision.kind === 'act' ? decision.step.name : decision.kind;
};

describe('an increment', () => {
  it('is complete only if its success was seen', () => {
    expect(stepOf(world({ witnessed: 'completed' }), record())).toBe('flush');
    expect(decideBackup(world({ witnessed: 'completed', arrived: true }), record())).toEqual({
      kind: 'act',
      step: { name: 'record', phase: 'sealing' },
    });
    expect(stepOf(world({ job: 'ours' }), record())).toBe('wait');
    expect(stepOf(world({ checkpoint: true }), record())).toBe('begin-anew');
    expect(stepOf(world({ witnessed: { failed: 'no space' } }), record())).toBe('give-up');
  });

  it('that was begun is joined, and one that may have been begun and is over is made anew', () => {
    const beginning = record({ phase: 'beginning' });
    expect(stepOf(world(), beginning)).toBe('begin-increment');
    expect(stepOf(world({ job: 'ours', checkpoint: true }), beginning)).toBe('record');
    expect(stepOf(world({ checkpoint: true }), beginning)).toBe('begin-anew');
  });

  it('is given up when its domain went off, or when it was lost again and again', () => {
    expect(stepOf(world({ domain: 'off', checkpoint: true }), record())).toBe('give-up');
    expect(stepOf(world({ domain: 'off' }), record({ phase: 'beginning' }))).toBe('give-up');
    expect(stepOf(world({ checkpoint: true, retries: 2 }), record())).toBe('give-up');
  });
});

describe('a full backup', () => {
  const full = record({ kind: 'full' });

  it('has its checkpoint before the instant of its copies', () => {
    expect(stepOf(world(), full)).toBe('make-checkpoint');
    expect(stepOf(world({ checkpoint: true }), full)).toBe('copy');
    // The copies were begun: a checkpoint of now would be one of later than their instant.
    expect(stepOf(world({ copies: 'open' }), full)).toBe('copy');
    expect(stepOf(world({ domain: 'off' }), full)).toBe('copy');
  });

  it('is sealed when every image is complete', () => {
    expect(stepOf(world({ copies: 'complete', checkpoint: true }), full)).toBe('record');
    expect(stepOf(world(), record({ kind: 'full', phase: 'sealing' }))).toBe('seal');
  });
});

it('thaws before anything else, whatever is wanted', () => {
  for (const goal of ['finish', 'abort'] as const) {
    expect(stepOf(world({ job: 'ours' }), record({ goal, frozen: true }))).toBe('thaw');
  }
});

it('does not undo what is sealed', () => {
  const abort = record({ goal: 'abort', phase: 'sealing' });
  expect(stepOf(world({ sealed: true }), abort)).toBe('tidy');
  expect(stepOf(world({ sealed: true, tidied: true }), abort)).toBe('close');
});

it('undoes in the order in which nothing depends on what is gone', () => {
  const abort = record({ goal: 'abort' });
  expect(stepOf(world({ job: 'ours', checkpoint: true }), abort)).toBe('cancel-job');
  expect(stepOf(world({ copies: 'open', checkpoint: true }), abort)).toBe('undo-copies');
  expect(stepOf(world({ checkpoint: true }), abort)).toBe('delete-checkpoint');
  expect(stepOf(world(), abort)).toBe('remove-point');
  expect(stepOf(world({ point: false }), abort)).toBe('close');
});
