// What a command says, where it cannot be written: a move under way is not to end for that.
import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { explain } from '../outcome/explain.ts';
import { OutputLost } from './io.ts';

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

it('bytes that cannot be written are an error in words, and not said to be there', () => {
  const full = openSync('/dev/full', 'w');
  const script = `import { processIo } from '${new URL('./io.ts', import.meta.url).href}';
    await processIo().outBytes(Buffer.from('x')).catch(({ name, errno }) => process.stderr.write(name + errno));`;
  try {
    const argv = ['--input-type=module', '-e', script];
    const { stderr } = spawnSync(process.execPath, argv, {
      stdio: ['ignore', full, 'pipe'],
      encoding: 'utf8',
    });
    expect(stderr).toContain('OutputLostENOSPC');
  } finally {
    closeSync(full);
  }
  const cause = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  expect(explain(new OutputLost(cause))).toMatchObject({
    exitCode: 1,
    error: { code: 'file-enospc', message: expect.not.stringContaining('    at ') },
  });
});
