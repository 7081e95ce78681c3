// The command line without any host: help, versions, and usage errors.
import { describe, expect, it } from 'vitest';
import { main } from './main.ts';
import { recordedIo } from './testing/move.ts';
import { VERBS } from './verbs/verbs.ts';

/** A connection that is refused at once, should a command get so far. */
const nowhere = 'qemu+unix:///system?socket=/nonexistent/libvirt-sock';

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const io = recordedIo();
  const code = await main(argv, { io });
  return { code, ...io.written };
}

function lastLine(out: string): unknown {
  return JSON.parse(out.trimEnd().split('\n').at(-1) ?? '');
}

describe('help', () => {
  it('lists every verb', async () => {
    const { code, out } = await run('--help');
    expect(code).toBe(0);
    for (const { name } of VERBS) expect(out).toMatch(new RegExp(`^  ${name} +\\w`, 'm'));
  });

  it.each(VERBS.map(({ name }) => name))('of %s has its usage and examples', async (name) => {
    const { code, out } = await run(name, '--help');
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`^Usage: blockferry ${name} `));
    expect(out).toContain('Examples:\n  blockferry ');
    expect((await run('help', name)).out).toBe(out);
  });

  it.each(['list', 'verify', 'prune'])('of backup %s has its usage and examples', async (name) => {
    const { code, out } = await run('backup', name, '--help');
    expect(code).toBe(0);
    expect(out).toMatch(new RegExp(`^Usage: blockferry backup ${name} DIR`));
    expect(out).toContain('Examples:\n  blockferry backup ');
  });

  it('does not show what only virsh calls so', async () => {
    expect((await run('move', '--help')).out).not.toContain('--blockdev');
  });

  it('is shown when nothing is asked for', async () => {
    expect(await run()).toEqual(await run('--help'));
  });
});

describe('--version', () => {
  it('prints the version and nothing else', async () => {
    const { code, out } = await run('--version');
    expect(code).toBe(0);
    expect(out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('a wrong command line', () => {
  it.each([
    ['an unknown verb', ['fly']],
    ['an unknown option', ['move', 'web', 'vda', '/x', '--fast']],
    ['a missing argument', ['move', 'web']],
    ['too many arguments', ['move', 'web', 'vda', '/x', '/y']],
    ['an option without its value', ['list', '-c']],
    ['scopes that exclude each other', ['move', 'web', 'vda', '/x', '--shallow', '--flatten']],
    ['no destination', ['plan', 'web', 'vda']],
    ['a destination XML that is not there', ['move', 'web', 'vda', '--dest-xml', '/none/such']],
    ["virsh's --finish", ['move', 'web', 'vda', '/x', '--finish']],
    ['resume without saying of what', ['resume']],
    ['resume of one and of all', ['resume', 'web', '--all']],
    ['an answer that is none', ['resume', 'web', '--use', 'both']],
    ['an answer for all moves at once', ['resume', '--all', '--use', 'source']],
    ['a rate that is none', ['bandwidth', 'web', 'fast']],
    ['an increment as one image', ['backup', 'web', '/b', '--incremental', '--flatten']],
    ['a compressed chain', ['backup', 'web', '/b', '--compress']],
    ['a way to quiesce that is none', ['backup', 'web', '/b', '--quiesce', 'maybe']],
    ['a prune that keeps nothing in particular', ['backup', 'prune', '/b']],
    ['a prune that keeps no number', ['backup', 'prune', '/b', '--keep-last', 'all']],
    ['a restore as two', ['restore', '/b', '--name', 'x', '--over']],
  ])('is exit code 2: %s', async (_, argv) => {
    const { code, out, err } = await run('-c', nowhere, ...argv);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).not.toBe('');
  });

  it.each([
    ['while parsing', ['move', 'web', '--json']],
    ['after parsing', ['move', 'web', 'vda', '/x', '--hold', '--pivot', '--json']],
    ['of a command that looks', ['plan', 'web', 'vda', '--json']],
    ['in the URI', ['list', '--json', '-c', 'qemu+carrier://pigeon/system']],
  ])('ends JSON with a result all the same: %s', async (_, argv) => {
    const { code, out } = await run(...argv);
    expect(code).toBe(2);
    expect(lastLine(out)).toMatchObject({ v: 1, type: 'result', exitCode: 2, error: { code: 'usage' } });
  });
});

describe('a daemon that is not there', () => {
  it.each(['list', 'status', 'resume --all', 'move web vda /x', 'plan web vda /x', 'abort web'])(
    'is exit code 1: %s',
    async (command) => {
      const { code, out, err } = await run('-c', nowhere, ...command.split(' '));
      expect({ code, out }).toEqual({ code: 1, out: '' });
      expect(err).toContain('blockferry -c');
      expect(err).toContain('doctor');
    },
  );

  it('is found by doctor, with its remedy', async () => {
    const { code, out } = await run('-c', nowhere, 'doctor');
    expect(code).toBe(1);
    expect(out).toMatch(/MISSING +connection: .*\n +→ start the daemon/);
  });

  it('ends JSON with a result', async () => {
    const { code, out } = await run('-c', nowhere, 'move', 'web', 'vda', '/x', '--json');
    expect(code).toBe(1);
    expect(lastLine(out)).toMatchObject({
      type: 'result',
      outcome: 'failed',
      domain: 'web',
      error: { code: 'cannot-connect' },
    });
  });
});
