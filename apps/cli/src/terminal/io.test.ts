// What a command says, where it cannot be written: a move under way is not to end for that.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
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

/** A command that says more than a pipe takes at once. */
const saysMuch = ['--conditions=blockferry-source', MAIN, 'list', '--json', 'x'.repeat(100_000)];

it.each([
  ['an answer', '2>/dev/null'],
  ['a failure', '2>&1 >/dev/null'],
])('a reader that takes its time gets the whole of %s', (_, redirections) => {
  // Time enough to end, for one that does not wait.
  const script = `"$@" ${redirections} | { sleep 1; cat; }`;
  const argv = ['-c', script, 'sh', process.execPath, ...saysMuch];
  const { stdout } = spawnSync('sh', argv, { encoding: 'utf8' });
  expect(stdout).toContain('x'.repeat(100_000));
  expect(stdout).toMatch(/\n$/);
});

it('one that goes away in the middle of it does not keep it', async () => {
  const child = spawn(process.execPath, saysMuch, { stdio: ['ignore', 'pipe', 'ignore'] });
  child.stdout.once('readable', () => child.stdout.destroy());
  const [code] = await once(child, 'exit');
  expect(code).toBe(2);
});
