// Who works in a directory of backups, by flock on this machine.
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { localHost } from '@blockferry/qemu';
import { expect, test } from 'vitest';
import { isBackupAtWork, withDirectoryLock } from './lock.ts';

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
