// The ssh command line, and the script on the far side run by real shells.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConnectionUri } from './connection-uri.ts';
import { ConnectionUriError } from './errors.ts';
import { quoteForShell, sshPlan } from './ssh-command.ts';

const argv = (uri: string, readOnly = false): readonly string[] =>
  sshPlan(parseConnectionUri(uri), readOnly).argv;

describe('the command line', () => {
  it.each([
    ['qemu+ssh://h/system', ['ssh', '-T', '-e', 'none', '--', 'h']],
    ['qemu+ssh:///system', ['ssh', '-T', '-e', 'none', '--', 'localhost']],
    ['qemu+ssh://-oX/system', ['ssh', '-T', '-e', 'none', '--', '-oX']],
    [
      'qemu+ssh://u@h:2222/system?command=/c&keyfile=/k%20x&no_verify=1&no_tty=1',
      '/c|-p|2222|-l|u|-i|/k x|-T|-e|none|-o|BatchMode=yes|-o|StrictHostKeyChecking=no|--|h'.split('|'),
    ],
    [
      'qemu+libssh2://h/system?known_hosts=/k&known_hosts_verify=auto&sshauth=agent,privkey,password',
      [
        ...['ssh', '-l', 'root', '-T', '-e', 'none', '-o', 'UserKnownHostsFile="/k"'],
        ...['-o', 'StrictHostKeyChecking=accept-new', '-o', 'PreferredAuthentications=publickey,password'],
        ...['--', 'h'],
      ],
    ],
  ])('of %s', (uri, expected) => {
    expect(argv(uri).slice(0, -1)).toEqual(expected);
  });

  it.each([
    ['qemu+ssh://h/system?proxy=pigeon', 'bad-parameter'],
    ['qemu+ssh://h/system?proxy=native&socket=/x', 'conflict'],
    ['qemu+ssh://h/session?proxy=netcat', 'conflict'],
    ['qemu+libssh://h/system?known_hosts_verify=maybe', 'bad-parameter'],
    ['qemu+ssh://h/system?no_verify=yes', 'bad-parameter'],
  ])('is not made for %s', (uri, code) => {
    expect(() => argv(uri)).toThrow(ConnectionUriError);
    expect(() => argv(uri)).toThrow(expect.objectContaining({ code }));
  });
});

describe('quoteForShell', () => {
  it('gives a shell any word back', () => {
    const word = fc.string({ unit: fc.constantFrom(...`'"\\$\`!&|;<>()*?# ~a\n\té`) });
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 20 }), (words) => {
        const script = `printf '%s\\0' ${words.map(quoteForShell).join(' ')}`;
        const twice = `sh -c ${quoteForShell(script)}`;
        expect(execFileSync('sh', ['-c', twice], { encoding: 'utf8' })).toBe(`${words.join('\0')}\0`);
      }),
      { numRuns: 50 },
    );
  });
});

describe('the script on the far side', () => {
  let directory: string;
  const shells = [['/bin/sh'], ['/bin/bash', '--norc']] as const;

  /** Programs that only say how they were called. */
  const programs = (names: Readonly<Record<string, string>>): string => {
    const path = mkdtempSync(join(directory, 'bin-'));
    for (const [name, body] of Object.entries(names)) {
      writeFileSync(join(path, name), `#!/bin/sh\n${body}\n`);
      chmodSync(join(path, name), 0o755);
    }
    for (const name of ['sh', 'grep', 'basename']) {
      writeFileSync(join(path, name), `#!/bin/sh\nexec /usr/bin/${name} "$@"\n`);
      chmodSync(join(path, name), 0o755);
    }
    return path;
  };
  const say = `for a in "$(basename "$0")" "$@"; do printf "[%s]" "$a"; done`;
  // Which of the two depends on the machine that runs this test.
  const systemSocket = (netcat: string): RegExp =>
    new RegExp(`^\\[${netcat}\\]\\[-U\\]\\[/var/run/libvirt/(libvirt|virtqemud)-sock\\]$`);
  const run = (uri: string, path: string, readOnly = false): string => {
    const said = shells.map(([shell, ...options]) =>
      execFileSync(shell, [...options, '-c', `${argv(uri, readOnly).at(-1)} 2>&1; true`], {
        encoding: 'utf8',
        env: { PATH: path },
      }),
    );
    expect(new Set(said).size).toBe(1);
    return said[0] ?? '';
  };

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'far-side-'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  it('runs virt-ssh-helper where it is, with the URI the daemon shall open', () => {
    const path = programs({ 'virt-ssh-helper': say, nc: say });
    expect(run('qemu+ssh://h/system', path)).toBe('[virt-ssh-helper][qemu:///system]');
    expect(run('qemu+ssh://h/session', path)).toBe('[virt-ssh-helper][qemu:///session]');
    expect(run('qemu+ssh://h/system', path, true)).toBe('[virt-ssh-helper][-r][qemu:///system]');
    expect(run(`qemu+ssh://h/system?name=it%27s%20%22$HOME%22`, path)).toBe(
      `[virt-ssh-helper][it's "$HOME"]`,
    );
  });

  it('falls back to nc where virt-ssh-helper is not', () => {
    expect(run('qemu+ssh://h/system', programs({ nc: say }))).toMatch(systemSocket('nc'));
  });

  it('uses nc when told to, or when given a socket, whatever is in its path', () => {
    const path = programs({ 'virt-ssh-helper': say, nc: say, cat: say });
    expect(run('qemu+ssh://h/system?proxy=netcat', path)).toMatch(systemSocket('nc'));
    expect(run('qemu+ssh://h/system?netcat=cat', path)).toMatch(systemSocket('cat'));
    expect(run(`qemu+ssh://h/system?socket=/it%27s%20%22$a%22`, path)).toBe(`[nc][-U][/it's "$a"]`);
  });

  it('tells a netcat that needs it to end with its input', () => {
    const nc = `if test "$1" = -q; then echo "option requires an argument -- q" >&2; exit 1; fi; ${say}`;
    expect(run('qemu+ssh://h/system?socket=/s', programs({ nc }))).toBe('[nc][-q0][-U][/s]');
  });

  it('prefers the socket of the modular daemon when it is there', () => {
    const test = `case "$*" in *virtqemud*) exit 0;; esac; exit 1`;
    const script = argv('qemu+ssh://h/system?proxy=netcat').at(-1) ?? '';
    const path = programs({ nc: say, sh: 'exec /bin/sh "$@"', probe: test });
    // `test` is built into shells: the probe stands in for it.
    const probed = execFileSync('/bin/sh', ['-c', script.replace('! test', '! probe')], {
      encoding: 'utf8',
      env: { PATH: path },
    });
    expect(probed).toBe('[nc][-U][/var/run/libvirt/virtqemud-sock]');
  });

  it('says that a session needs virt-ssh-helper', () => {
    expect(run('qemu+ssh://h/session', programs({ nc: say }))).toContain('virt-ssh-helper is not installed');
  });
});
