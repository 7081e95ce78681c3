import type { Host } from '@blockferry/qemu';
import { expect, test } from 'vitest';
import { formatWithBigints } from '../record/serialise.ts';
import { backupJournalPath, manifestPath } from './layout.ts';
import { foreseePrune } from './prune.ts';

const DIRECTORY = '/backup';
const POINT = '2026-11-28T15-00-00Z-full';
const journal = formatWithBigints({
  ...{ version: 1, id: 'a', directory: DIRECTORY, point: POINT, kind: 'full', disks: [] },
  ...{ domain: { name: 'vm', uuid: 'u' }, phase: 'sealing', goal: 'finish', revision: 0n },
});

test('a backup that is sealed while its directory is looked at does not go as an unfinished one', async () => {
  let underWay = true;
  const host: Pick<Host, 'stat' | 'readdir' | 'readFile'> = {
    stat: async () => ({ type: 'directory' }) as Awaited<ReturnType<Host['stat']>>,
    readdir: async () => [POINT],
    readFile: async (path) => {
      if (path === backupJournalPath(DIRECTORY)) return underWay ? journal : null;
      expect(path).toBe(manifestPath(DIRECTORY, POINT));
      underWay = false;
      return null;
    },
  };
  await expect(foreseePrune(host as Host, DIRECTORY, { last: 1 })).rejects.toMatchObject({
    code: 'backup-under-way',
  });
});
