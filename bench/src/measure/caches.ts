// The page cache of files, emptied between runs: no peer reads from memory what another had read from the disk.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@blockferry/testbed';

/**
 * Writes back and drops what is cached of the files in a directory. Of these alone: emptying the whole cache would
 * wait for, and slow, everything else on the machine.
 */
export async function dropCachesOf(directory: string): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(directory, entry.name));
  if (files.length === 0) return;
  await run(['sync', '--', ...files], { timeoutMs: 300_000 });
  // With a count of 0 "nocache" is about the whole file (GNU coreutils, dd invocation).
  for (const file of files) await run(['dd', `if=${file}`, 'iflag=nocache', 'count=0', 'status=none']);
}
