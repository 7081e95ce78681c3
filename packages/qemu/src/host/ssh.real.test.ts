// What is special about a host over ssh: connections that are refused, silent, lost, shared and cleaned up.
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { killHard, startTestProgram } from '../testing/child-process.ts';
import { noProcessWithArgument, processesWithArgument, uniqueMark } from '../testing/processes.ts';
import { startSshd, type TestSshd } from '../testing/sshd.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { HostError } from './errors.ts';
import { sshHost } from './ssh.ts';

let sshd: TestSshd;
beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(() => sshd.stop());

describe('a host over ssh', () => {
  test('fails with what ssh says when there is nobody, or the wrong key', async () => {
    const nobody = sshHost({ ...sshd.destination, port: 1 });
    const error = await nobody.run(['true']).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(HostError);
    expect(error).toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining('Connection refused'),
    });
    await nobody.close();
    const { keyfile: _, ...keyless } = sshd.destination;
    const stranger = sshHost(keyless);
    await expect(stranger.run(['true'])).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining('Permission denied'),
    });
    await stranger.close();
  });

  test('gives up on a host that accepts and stays silent', async () => {
    await using silent = await startSshd();
    process.kill(silent.pid, 'SIGSTOP');
    try {
      const host = sshHost(silent.destination);
      await expect(host.run(['true'], { timeoutMs: 500 })).rejects.toMatchObject({ code: 'timeout' });
      await expect(host.stat('/', { timeoutMs: 500 })).rejects.toMatchObject({ code: 'timeout' });
      const signal = AbortSignal.timeout(100);
      await expect(host.stat('/', { signal })).rejects.toMatchObject({ code: 'aborted' });
      await host.close();
    } finally {
      process.kill(silent.pid, 'SIGCONT');
    }
  });

  test('a lost connection fails the command, and the next one connects anew', async () => {
    const host = sshHost(sshd.destination);
    const mark = uniqueMark();
    // A length that no other test sleeps: by it sshd is found.
    const seconds = `1000.${randomInt(10 ** 9)}`;
    let connection = 0;
    const run = host.run(['sh', '-c', `echo $PPID; exec sleep ${seconds} # ${mark}`], {
      onStdout: (text) => {
        connection = Number(text);
      },
    });
    await vi.waitFor(() => expect(connection).toBeGreaterThan(0), 10_000);
    await killSshdOf(seconds);
    await expect(run).rejects.toMatchObject({ code: 'unreachable' });
    await noProcessWithArgument(mark);
    expect(await host.run(['echo', 'again'])).toMatchObject({ stdout: 'again\n' });
    await host.close();
  });

  test('leaves no file behind after close, nor when killed', async () => {
    await using directory = await temporaryDirectory();
    vi.stubEnv('TMPDIR', directory.path);
    try {
      const sockets = () => readdirSync(directory.path);
      const host = sshHost(sshd.destination);
      await host.run(['true']);
      expect(sockets()).toHaveLength(1);
      await host.close();
      await vi.waitFor(() => expect(sockets()).toEqual([]), { timeout: 10_000 });
      await expect(host.run(['true'])).rejects.toMatchObject({ code: 'closed' });
      const destination = JSON.stringify(sshd.destination);
      const parent = await startTestProgram(
        'spawn-and-wait.ts',
        destination,
        'run',
        'sh',
        '-c',
        'echo; exec sleep 1000',
      );
      expect(sockets()).toHaveLength(1);
      await killHard(parent);
      await vi.waitFor(() => expect(sockets()).toEqual([]), { timeout: 10_000 });
    } finally {
      vi.unstubAllEnvs();
    }
  });

  test('what runs there ends when this machine is gone without a word', async () => {
    const mark = uniqueMark();
    const destination = JSON.stringify({ ...sshd.destination, silenceSeconds: 3 });
    const script = `echo; exec sleep 1000 # ${mark}`;
    const parent = await startTestProgram('spawn-and-wait.ts', destination, 'run', 'sh', '-c', script);
    const shells = async () => (await processesWithArgument(mark)).filter((pid) => statOf(pid).name === 'sh');
    const masters = await processesWithArgument('ControlPersist=no');
    const master = masters.find((pid) => {
      const { name, parent: keeper } = statOf(pid);
      return name === 'ssh' && statOf(keeper).parent === parent.pid;
    });
    assert.ok(master !== undefined, 'no ssh');
    // It lives on for as long as it hears from us.
    await setTimeout(4_000);
    expect(await shells()).not.toEqual([]);
    process.kill(master, 'SIGSTOP');
    try {
      await killHard(parent);
      await vi.waitFor(async () => expect(await shells()).toEqual([]), { timeout: 15_000 });
    } finally {
      process.kill(master, 'SIGCONT');
    }
  });

  test('commands that cannot even be tried cost no session', async () => {
    const host = sshHost(sshd.destination);
    for (let i = 0; i < 12; i++) {
      await expect(host.run(['echo', 'a\0b'])).rejects.toBeInstanceOf(TypeError);
      await expect(host.run(['echo', 'x'.repeat(200_000)])).rejects.toThrow(/E2BIG/);
    }
    expect(await host.run(['true'])).toMatchObject({ code: 0 });
    await host.close();
  });

  test('works with a server that allows few sessions', async () => {
    await using strict = await startSshd(['MaxSessions 8']);
    const host = sshHost(strict.destination);
    const runs = Array.from({ length: 20 }, (_, i) => host.run(['sh', '-c', `sleep 0.3; echo ${i}`]));
    expect((await Promise.all(runs)).map(({ code }) => code)).toEqual(Array(20).fill(0));
    await host.close();
  });
});

/** Kills the sshd process that serves the connection on which a command runs. */
async function killSshdOf(seconds: string): Promise<void> {
  // It may have said what it had to say, and be about to sleep.
  let pid = await vi.waitFor(async () => {
    const [asleep] = await processesWithArgument(`sleep\0${seconds}`);
    assert.ok(asleep !== undefined, `nothing sleeps ${seconds} s`);
    return asleep;
  }, 10_000);
  for (;;) {
    const { parent } = statOf(pid);
    if (statOf(parent).name === 'sshd') return void process.kill(parent, 'SIGKILL');
    if (parent <= 1) throw new Error(`no sshd above sleep ${seconds}`);
    pid = parent;
  }
}

/** Of a process that has ended, nothing. */
function statOf(pid: number): { readonly name: string; readonly parent: number } {
  let stat = '';
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    // it ended while we looked
  }
  const [, name = '', parent = '0'] = /\((.*)\) . (\d+)/s.exec(stat) ?? [];
  return { name, parent: Number(parent) };
}
