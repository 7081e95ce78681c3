// What every Host promises, kept by each of them: this machine, and the same machine over ssh.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { processesWithArgument } from '../testing/processes.ts';
import { startSshd, type TestSshd } from '../testing/sshd.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { FileError, HostError } from './errors.ts';
import type { Host } from './host.ts';
import { localHost } from './local.ts';
import { sshHost } from './ssh.ts';

const SPAWN_AND_WAIT = fileURLToPath(new URL('../testing/spawn-and-wait.ts', import.meta.url));
const nonce = () => `${process.pid}.${randomBytes(6).toString('hex')}`;
const gone = (mark: string) =>
  vi.waitFor(async () => expect(await processesWithArgument(mark)).toEqual([]), {
    timeout: 15_000,
    interval: 50,
  });

let sshd: TestSshd;
beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(() => sshd.stop());

describe.each(['localhost', 'ssh'] as const)('a host (%s)', (kind) => {
  let host: Host;
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  const path = (name: string) => join(directory.path, name);

  beforeAll(() => {
    host = kind === 'ssh' ? sshHost(sshd.destination) : localHost();
  });
  afterAll(() => host.close());
  beforeEach(async () => {
    directory = await temporaryDirectory();
  });
  afterEach(() => directory.remove());

  describe('running programs', () => {
    test('says who it is', () => {
      expect(host.isLocal).toBe(kind === 'localhost');
      expect(host.name).toBe(kind === 'localhost' ? 'localhost' : `${sshd.destination.user}@127.0.0.1`);
    });

    test('passes every argument exactly', async () => {
      const argument = fc.string({ unit: 'grapheme', maxLength: 30 }).filter((text) => !text.includes('\0'));
      const hostile = fc.oneof(
        argument,
        fc.constantFrom('', '-n', '$HOME', '`id`', "'", "'\\''", 'a\nb', '*', '\\', '!', '"', '\t'),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(hostile, { minLength: 1, maxLength: 6 }), async (args) => {
          const { stdout } = await host.run(['printf', '%s\\0', ...args]);
          expect(stdout.split('\0').slice(0, -1)).toEqual(args);
        }),
        { numRuns: 40 },
      );
    });

    test('reports output, exit statuses and signals as data, 255 and 127 included', async () => {
      const script = (text: string) => host.run(['sh', '-c', text]);
      expect(await script('echo out; echo err >&2; exit 3')).toEqual({
        stdout: 'out\n',
        stderr: 'err\n',
        code: 3,
        signal: null,
      });
      expect(await script('exit 255')).toMatchObject({ code: 255, signal: null });
      expect(await script('exit 127')).toMatchObject({ code: 127, signal: null });
      expect(await script('kill -KILL $$')).toMatchObject({ code: null, signal: 'SIGKILL' });
      expect(await script('printf no-newline >&2')).toMatchObject({ stderr: 'no-newline', code: 0 });
    });

    test('feeds input, and an empty one where none is given', async () => {
      const input = Buffer.from('ünï\r\n'.repeat(50_000));
      expect((await host.run(['cat'], { input })).stdout).toBe(input.toString());
      expect(await host.run(['cat'])).toMatchObject({ stdout: '', code: 0 });
      expect(await host.run(['true'], { input })).toMatchObject({ code: 0 }); // and it need not be read
    });

    test('brings all output of a program that writes much and ends', async () => {
      const { stdout } = await host.run(['sh', '-c', 'head -c 8000000 /dev/zero | tr "\\0" x']);
      expect(stdout).toHaveLength(8_000_000);
    });

    test('tells when there is no such program', async () => {
      await expect(host.run(['no-such-program'])).rejects.toMatchObject({
        name: 'HostError',
        code: 'not-found',
      });
      const running = await host.spawn(['/no/such/program']);
      await expect(running.exited).rejects.toMatchObject({ code: 'not-found' });
    });

    test('ends a program at its deadline, its children too', async () => {
      const mark = nonce();
      const run = host.run(['sh', '-c', `sleep 1000 & sleep 1000 & wait # ${mark}`], { timeoutMs: 300 });
      await expect(run).rejects.toMatchObject({ code: 'timeout' });
      await gone(mark);
    });

    test('ends a program when its signal fires, before or while it runs', async () => {
      const mark = nonce();
      const stop = new AbortController();
      const run = host.run(['sh', '-c', `echo; exec sleep 1000 ${mark}`], {
        signal: stop.signal,
        onStdout: () => stop.abort(),
      });
      await expect(run).rejects.toMatchObject({ code: 'aborted' });
      await gone(mark);
      await expect(host.run(['true'], { signal: stop.signal })).rejects.toMatchObject({ code: 'aborted' });
    });

    test('ends a program that says too much, with bounded memory', async () => {
      const run = host.run(['sh', '-c', 'yes'], { maxOutputBytes: 100_000 });
      await expect(run).rejects.toMatchObject({ code: 'output-too-large' });
    });

    test('ends a spawned program when its stdin is ended, and says how it ended', async () => {
      const mark = nonce();
      const running = await host.spawn(['sh', '-c', `cat; exec sleep 1000 # ${mark}`]);
      running.stdin.write('hello');
      expect(String(await once(running.stdout, 'data'))).toBe('hello');
      running.stdin.end();
      expect(await running.exited).toEqual({ code: null, signal: 'SIGTERM' });
      await gone(mark);
    });

    test('reports the exit and stderr of a spawned program that ends by itself', async () => {
      const running = await host.spawn(['sh', '-c', 'read line; echo "got $line" >&2; exit 4']);
      running.stdout.resume();
      running.stdin.write('it\n');
      expect(await running.exited).toEqual({ code: 4, signal: null });
      expect(running.stderr()).toBe('got it\n');
    });

    test('runs many programs at once', async () => {
      const runs = Array.from({ length: 25 }, (_, i) => host.run(['sh', '-c', `sleep 0.2; echo ${i}`]));
      expect((await Promise.all(runs)).map(({ stdout }) => Number(stdout))).toEqual([...Array(25).keys()]);
    });

    test.each(['run', 'spawn'])('kills what it started (%s) when we are killed ourselves', async (how) => {
      const mark = nonce();
      // It ignores what it can: SIGTERM is not enough, and it does not look at its stdin.
      const program = ['sh', '-c', `trap '' TERM HUP INT; echo; while :; do sleep 1; done # ${mark}`];
      const destination = JSON.stringify(kind === 'ssh' ? sshd.destination : null);
      const parent = spawn(process.execPath, [SPAWN_AND_WAIT, destination, how, ...program]);
      await started(parent);
      const pids = await processesWithArgument(mark);
      expect(pids.length).toBeGreaterThan(1); // the parent has the mark in its arguments too
      parent.kill('SIGKILL');
      await once(parent, 'exit');
      await gone(mark);
    });
  });

  describe('handling files', () => {
    test('writes atomically, with the mode asked for, and reads back', async () => {
      const text = 'ünï "quotes"\nline two without end';
      await host.writeFileAtomic(path('a file'), text, { mode: 0o640 });
      expect(await host.readFile(path('a file'))).toBe(text);
      await host.writeFileAtomic(path('a file'), '');
      expect(await host.readFile(path('a file'))).toBe('');
      expect((await host.stat(path('a file')))?.mode).toBe(0o600);
      expect(readdirSync(directory.path)).toEqual(['a file']);
    });

    test('keeps the old file, and no other, when writing fails', async () => {
      writeFileSync(path('f'), 'old');
      await expect(host.writeFileAtomic('/proc/self/nope/f', 'new')).rejects.toMatchObject({
        code: 'ENOENT',
      });
      await expect(host.writeFileAtomic(path('f/below'), 'new')).rejects.toBeInstanceOf(FileError);
      expect(readFileSync(path('f'), 'utf8')).toBe('old');
      expect(readdirSync(directory.path)).toEqual(['f']);
    });

    test('creates a file only if there is none', async () => {
      await host.createExclusive(path('new'), { mode: 0o644 });
      expect(await host.stat(path('new'))).toMatchObject({ type: 'file', size: 0n, mode: 0o644 });
      await expect(host.createExclusive(path('new'))).rejects.toMatchObject({ code: 'EEXIST' });
      symlinkSync('/nowhere', path('dangling'));
      await expect(host.createExclusive(path('dangling'))).rejects.toMatchObject({ code: 'EEXIST' });
    });

    test('tells files, directories, links, sockets, fifos and devices apart', async () => {
      execFileSync('mkfifo', [path('fifo')]);
      symlinkSync('/dev/null', path('link'));
      writeFileSync(path('file'), '12345');
      expect((await host.stat(path('fifo')))?.type).toBe('fifo');
      expect((await host.stat(path('link')))?.type).toBe('character');
      expect((await host.stat(path('link'), { followSymlinks: false }))?.type).toBe('symlink');
      expect((await host.stat(directory.path))?.type).toBe('directory');
      expect(await host.stat('/dev/zero')).toMatchObject({ type: 'character', rdev: { major: 1, minor: 5 } });
      expect(await host.stat(path('file'))).toMatchObject({ type: 'file', size: 5n, uid: 0, gid: 0 });
      expect(await host.stat(path('file/below'))).toBeNull();
      expect(await host.stat(path('none'))).toBeNull();
    });

    test('knows lengths beyond 2^53, allocation and nanoseconds exactly', async () => {
      execFileSync('truncate', ['-s', '12000000000000', path('sparse')]);
      execFileSync('touch', ['-d', '@1700000000.123456789', path('sparse')]);
      const stat = await host.stat(path('sparse'));
      expect(stat).toMatchObject({
        size: 12_000_000_000_000n,
        allocated: 0n,
        mtimeNs: 1_700_000_000_123_456_789n,
      });
    });

    test('lists, makes, renames and removes, whatever the names', async () => {
      const names = ['-rf', 'a\nb', 'q\'u"o', 'ünï', 'a b', '$x'];
      for (const name of names) await host.writeFileAtomic(path(name), name);
      expect(new Set(await host.readdir(directory.path))).toEqual(new Set(names));
      await host.mkdir(path('deep/er'), { parents: true, mode: 0o700 });
      await host.rename(path('-rf'), path('deep/er/a\nb'));
      await host.rename(path('ünï'), path('deep/er/a\nb'));
      expect(await host.readFile(path('deep/er/a\nb'))).toBe('ünï');
      expect(await host.unlink(path('deep/er/a\nb'))).toBe(true);
      expect(await host.unlink(path('deep/er/a\nb'))).toBe(false);
      await expect(host.unlink(path('deep'))).rejects.toBeInstanceOf(FileError);
      await expect(host.mkdir(path('deep'))).rejects.toMatchObject({ code: 'EEXIST' });
      await expect(host.rename(path('none'), path('other'))).rejects.toMatchObject({ code: 'ENOENT' });
      await expect(host.rename(path('a b'), '/dev/shm/bf-test')).rejects.toMatchObject({ code: 'EXDEV' });
    });

    test('resolves links, changes owner and mode, tells access and room', async () => {
      writeFileSync(path('f'), '');
      symlinkSync('f', path('l'));
      expect(await host.realpath(path('l'))).toBe(path('f'));
      await expect(host.realpath(path('none'))).rejects.toMatchObject({ code: 'ENOENT' });
      await host.chmod(path('f'), 0o4751);
      expect((await host.stat(path('f')))?.mode).toBe(0o4751);
      await host.chown(path('f'), 12_345, 54_321);
      expect(await host.stat(path('f'))).toMatchObject({ uid: 12_345, gid: 54_321 });
      expect(await host.access(path('f'), 'r')).toBe(true);
      expect(await host.access(path('none'), 'w')).toBe(false);
      const { available, total, type } = await host.statfs('/dev/shm');
      expect(type).toBe('tmpfs');
      expect(available > 0n && available <= total).toBe(true);
    });

    test('refuses relative paths', async () => {
      await expect(host.readFile('x')).rejects.toBeInstanceOf(TypeError);
      await expect(host.access('-x', 'r')).rejects.toBeInstanceOf(TypeError);
    });

    test('sizes block devices, and says what else is none', async () => {
      execFileSync('truncate', ['-s', '3M', path('disk')]);
      const device = execFileSync('losetup', ['--show', '-f', path('disk')], { encoding: 'utf8' }).trim();
      try {
        expect(await host.blockDeviceSize(device)).toBe(3n * 1024n * 1024n);
        expect((await host.stat(device))?.type).toBe('block');
        expect(await host.probeStorage(device, 5_000)).toEqual({ ok: true });
      } finally {
        execFileSync('losetup', ['-d', device]);
      }
      await expect(host.blockDeviceSize(path('disk'))).rejects.toMatchObject({ code: 'ENOTTY' });
    });

    test('finds storage that answers, fails, or is read-only', async () => {
      expect(await host.probeStorage(directory.path, 5_000)).toEqual({ ok: true });
      expect(await host.probeStorage(path('not there yet'), 5_000)).toEqual({ ok: true });
      expect(readdirSync(directory.path)).toEqual([]);
      expect(await host.probeStorage('/proc/x', 5_000)).toMatchObject({ ok: false, why: 'error' });
      expect(await host.probeStorage('/none/x', 5_000)).toMatchObject({ ok: false, why: 'error' });
    });

    test('survives storage that hangs: the operation times out, others go on, and it ends cleanly', async () => {
      const disk = path('disk');
      execFileSync('truncate', ['-s', '16M', disk]);
      execFileSync('mke2fs', ['-q', '-t', 'ext4', '-F', disk]);
      await host.mkdir(path('mnt'));
      execFileSync('mount', ['-o', 'loop', disk, path('mnt')]);
      try {
        writeFileSync(path('mnt/f'), 'old');
        execFileSync('fsfreeze', ['-f', path('mnt')]);
        try {
          expect(await host.probeStorage(path('mnt/f'), 300)).toMatchObject({ ok: false, why: 'hang' });
          const writes = Array.from({ length: 6 }, () =>
            host.writeFileAtomic(path('mnt/f'), 'new', { timeoutMs: 300 }),
          );
          for (const write of await Promise.allSettled(writes)) {
            expect(write).toMatchObject({
              status: 'rejected',
              reason: { name: 'HostError', code: 'timeout' },
            });
          }
          expect(await host.readFile(path('mnt/f'))).toBe('old');
        } finally {
          execFileSync('fsfreeze', ['-u', path('mnt')]);
        }
        expect(await host.probeStorage(path('mnt/f'), 5_000)).toEqual({ ok: true });
        expect(await host.readFile(path('mnt/f'))).toBe('old');
      } finally {
        await vi.waitFor(() => execFileSync('umount', [path('mnt')], { stdio: 'pipe' }), { timeout: 15_000 });
      }
    });
  });
});

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
      await host.close();
    } finally {
      process.kill(silent.pid, 'SIGCONT');
    }
  });

  test('a lost connection fails the command, and the next one connects anew', async () => {
    const host = sshHost(sshd.destination);
    const mark = nonce();
    let connection = 0;
    const run = host.run(['sh', '-c', `echo $PPID; exec sleep 1000 # ${mark}`], {
      onStdout: (text) => {
        connection = Number(text);
      },
    });
    await vi.waitFor(() => expect(connection).toBeGreaterThan(0));
    await killSshdOf(mark);
    await expect(run).rejects.toMatchObject({ code: 'unreachable' });
    await gone(mark);
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
      const program = ['sh', '-c', 'echo; exec sleep 1000'];
      const parent = spawn(process.execPath, [
        SPAWN_AND_WAIT,
        JSON.stringify(sshd.destination),
        'run',
        ...program,
      ]);
      await started(parent);
      expect(sockets()).toHaveLength(1);
      parent.kill('SIGKILL');
      await vi.waitFor(() => expect(sockets()).toEqual([]), { timeout: 10_000 });
    } finally {
      vi.unstubAllEnvs();
    }
  });

  test('works with a server that allows few sessions', async () => {
    await using strict = await startSshd(['MaxSessions 8']);
    const host = sshHost(strict.destination);
    const runs = Array.from({ length: 20 }, (_, i) => host.run(['sh', '-c', `sleep 0.3; echo ${i}`]));
    expect((await Promise.all(runs)).map(({ code }) => code)).toEqual(Array(20).fill(0));
    await host.close();
  });
});

async function started(child: ChildProcess): Promise<void> {
  if (!child.stdout || !child.stderr) throw new Error('no pipes');
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(() => Promise.reject(new Error(`it ended: ${stderr}`))),
  ]);
}

/** Kills the sshd process that serves the connection on which a command runs. */
async function killSshdOf(mark: string): Promise<void> {
  for (let [pid] = await processesWithArgument(`sleep\0${'1000'}`); pid !== undefined; ) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    const name = readFileSync(`/proc/${parent}/comm`, 'utf8').trim();
    if (name === 'sshd') return void process.kill(parent, 'SIGKILL');
    if (parent <= 1) throw new Error(`no sshd above ${mark}`);
    pid = parent;
  }
}
