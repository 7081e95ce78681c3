import type { MigrationEnded, MigrationRecord } from '@blockferry/engine';
import { expect, test } from 'vitest';
import { migrationPlanText, migrationResultText, migrationText } from '../views/human/migration.ts';
import { judgeMigration } from './migration.ts';

const file = (path: string) => ({ source: { kind: 'file', path }, format: 'qcow2' }) as const;

const record: MigrationRecord = {
  version: 1,
  id: 'abcd',
  domain: { name: 'web', uuid: '00000000-0000-0000-0000-000000000000' },
  mode: 'live',
  home: 'qemu:///system',
  away: 'qemu+ssh://b/system',
  hosts: { home: 'a', away: 'b' },
  disks: [
    {
      target: 'vda',
      origin: file('/i/top'),
      layers: [{ from: file('/i/top'), to: file('/j/top'), how: 'bytes' }],
      shared: [{ from: file('/i/base'), to: file('/j/base'), how: 'bytes' }],
      overlay: { home: file('/i/top.o'), away: file('/j/top.o') },
    },
  ],
  states: [],
  autostart: false,
  options: { verify: true, autoConverge: false },
  phase: 'copying',
  goal: 'away',
  revision: 3,
};

const ended = (ending: MigrationEnded['ending']): MigrationEnded => ({
  ending,
  record,
  durationMs: 5_900,
  downtimeMs: 48,
  freezeMs: 54,
  copied: 22n << 20n,
  copiedBefore: 0n,
  left: undefined,
  verified: 22n << 20n,
});

test('a migration that is done says where the domain is, what it felt, and what stays at home', () => {
  const result = judgeMigration(ended({ kind: 'migrated' }), 'away', { home: 'gone', away: 'running' });
  expect(result).toMatchObject({ outcome: 'migrated', exitCode: 0, runsOn: 'away', sourcesKept: ['/i/top'] });
  expect(migrationResultText(result)).toBe(
    [
      'migrated: web is at qemu+ssh://b/system',
      '  stood still for 48 ms, freeze 54 ms, 22.0 MiB copied, 22.0 MiB verified, took 5.9 s',
      '  kept at qemu:///system: /i/top',
      '  once you no longer want them: blockferry cleanup web --delete-source',
      '',
    ].join('\n'),
  );
});

test('every ending has its exit code, and what to do next', () => {
  const at = { home: 'running', away: 'gone' } as const;
  const judge = (ending: MigrationEnded['ending'], asked: 'away' | 'home' = 'away') =>
    judgeMigration(ended(ending), asked, at);
  expect(judge({ kind: 'back', why: 'aborted' }, 'home')).toMatchObject({ exitCode: 0, error: undefined });
  expect(judge({ kind: 'back', why: 'aborted' })).toMatchObject({
    exitCode: 1,
    error: { code: 'went-back' },
  });
  const interrupted = judge({ kind: 'interrupted', why: 'copy-failed', detail: 'EIO' });
  expect(interrupted).toMatchObject({ exitCode: 4, runsOn: 'home', error: { code: 'copy-failed' } });
  expect(migrationResultText(interrupted)).toContain(
    '→ go on: blockferry resume web\n  → undo: blockferry abort web',
  );
  const crossing = judge({ kind: 'interrupted', why: 'crossing-failed', detail: 'no such host' });
  expect(crossing.error?.hint).toContain('blockferry -c qemu:///system migrate web qemu+ssh://b/system');
  const gone = judgeMigration(ended({ kind: 'back', why: 'aborted' }), 'home', {
    home: 'gone',
    away: 'gone',
  });
  expect(gone).toMatchObject({ exitCode: 5, error: { code: 'domain-gone' } });
  expect(gone.error?.hint).toContain('vda: /i/top.o');
  const saved = judge({ kind: 'interrupted', why: 'domain-saved' }, 'home');
  expect(saved.error).toMatchObject({
    code: 'domain-saved',
    message: expect.stringContaining('virsh start web'),
  });
  for (const question of ['runs-on-both', 'lost-away', 'which-side'] as const) {
    expect(judge({ kind: 'ask', question })).toMatchObject({ exitCode: 5, error: { code: question } });
  }
});

test('a plan shows the chain as it will be there, and what each step leaves', () => {
  const text = migrationPlanText({ record, warnings: [], bytes: 22n << 20n }, true);
  expect(text).toContain('vda    /j/base <- /j/top (1 there already)');
  expect(text.match(/if everything stopped here: /g)).toHaveLength(9);
});

test('once it may have run there, nothing is said of undoing it', () => {
  expect(migrationText(record, false)).toContain('undo: blockferry abort web');
  expect(migrationText({ ...record, phase: 'arriving' }, false)).not.toContain('abort');
});

test('going on is advised where nobody does', () => {
  expect(migrationText(record, false)).toContain('; no blockferry is at work on it\n');
  expect(migrationText(record, false)).toContain('→ go on: blockferry resume web');
  expect(migrationText(record, true)).toContain('; a blockferry is at work on it\n');
  expect(migrationText(record, true)).not.toContain('go on');
  expect(migrationText(record, undefined)).toContain('→ go on, if no blockferry does: ');
});
