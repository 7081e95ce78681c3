// Who works in a directory of backups, by flock on this machine.
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { localHost } from '@blockferry/qemu';
import { expect, test } from 'vitest';
import { isBackupAtWork, readingPoints, withDirectoryLock } from './lock.ts';
import { prune } from './prune.ts';

test("it is told while somebody does; a second is refused, and asking is in nobody's way", async () => {
  const host = localHost();
  const directory = await mkdtemp(join(tmpdir(), 'bf-lock-'));
  const once = (work: () => Promise<unknown>) =>
    withDirectoryLock(host, directory, { wait: false, signal: AbortSignal.timeout(20_000) }, work);
  const atWork = () => isBackupAtWork(host, { directory });
  try {
    expect(await atWork()).toBe(false);
    expect(await readdir(directory)).toEqual([]);
    await once(async () => {
      expect(await Promise.all([atWork(), atWork()])).toEqual([true, true]);
      await expect(once(async () => {})).rejects.toMatchObject({ code: 'backup-at-work' });
    });
    const asked = Promise.all(Array.from({ length: 5 }, atWork));
    await once(async () => {});
    await asked;
    expect(await isBackupAtWork(undefined, { directory })).toBeUndefined();
  } finally {
    await host.close();
    await rm(directory, { recursive: true });
  }
});

test('nothing is pruned while somebody reads, and no file is made for that', async () => {
  const host = localHost();
  const directory = await mkdtemp(join(tmpdir(), 'bf-lock-'));
  const read = () => readingPoints(host, directory, AbortSignal.timeout(20_000));
  const removed: string[] = [];
  const sorted = { keep: [], spare: [], remove: ['2026-11-28T15-00-00Z-full'] };
  const pruned = () => prune(host, directory, sorted, (name) => removed.push(name));
  try {
    {
      using _ = await read();
      using __ = await read();
      await expect(pruned()).rejects.toMatchObject({ code: 'backup-at-work' });
    }
    expect(await readdir(directory)).toEqual([]);
    await pruned();
    expect(removed).toEqual(sorted.remove);
  } finally {
    await host.close();
    await rm(directory, { recursive: true });
  }
});
