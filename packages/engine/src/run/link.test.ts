// A connection that is given up before it is there.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { Link } from './link.ts';

it('closed while ssh hangs, it leaves no ssh behind', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'link-'));
  const [ssh, pidFile] = [join(directory, 'ssh'), join(directory, 'pid')];
  await writeFile(ssh, `#!/bin/sh\necho $$ > ${pidFile}\nexec sleep 60\n`, { mode: 0o755 });
  try {
    const link = new Link(`qemu+ssh://host/system?command=${ssh}`);
    const opening = link.connection().catch((error: unknown) => error);
    const pid = await vi.waitFor(async () => {
      const found = Number(await readFile(pidFile, 'utf8'));
      expect(found).toBeGreaterThan(0);
      return found;
    }, 10_000);
    await link.close();
    expect(await opening).toBeInstanceOf(Error);
    await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow('ESRCH'), 10_000);
  } finally {
    await rm(directory, { recursive: true });
  }
});
