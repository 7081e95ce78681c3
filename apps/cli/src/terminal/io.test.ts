// What a command says, where it cannot be written: a move under way is not to end for that.
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));

it.each([
  ['answers', 1],
  ['all of it', 2],
])('storage that is full takes none of %s, and the command goes on', (_, last) => {
  const full = openSync('/dev/full', 'w');
  try {
    const stdio = ['ignore', full, last === 2 ? full : 'pipe'] as const;
    const { status, stderr } = spawnSync(process.execPath, [MAIN, '--help'], {
      stdio: [...stdio],
      encoding: 'utf8',
    });
    expect(status).toBe(0);
    if (last === 1) expect(stderr).toMatch(/^what this command says cannot be written: ENOSPC[^\n]*\n$/);
  } finally {
    closeSync(full);
  }
});
