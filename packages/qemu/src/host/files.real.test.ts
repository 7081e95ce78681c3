// Handling files: what every Host promises, kept by each of them.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { killHard, startTestProgram } from '../testing/child-process.ts';
import { describeEachHost } from '../testing/each-host.ts';
import { temporaryDirectory } from '../testing/temporary-directory.ts';
import { FileError } from './errors.ts';
import { localHost } from './local.ts';

describeEachHost('handling files', (on) => {
  test('writes atomically, with the mode asked for, and reads back', async () => {
    const text = 'ünï "quotes"\nline two without end';
    await on.host.writeFileAtomic(on.path('a file'), text, { mode: 0o640 });
    expect(await on.host.readFile(on.path('a file'))).toBe(text);
    await on.host.writeFileAtomic(on.path('a file'), '');
    expect(await on.host.readFile(on.path('a file'))).toBe('');
    expect((await on.host.stat(on.path('a file')))?.mode).toBe(0o600);
    expect(readdirSync(on.directory)).toEqual(['a file']);
  });

  test('writes long texts, many at once, and refuses what is no text', async () => {
    const text = `${"it's\\n".repeat(400_000)}\n`;
    const names = Array.from({ length: 12 }, (_, i) => on.path(`f${i}`));
    await Promise.all(names.map((name) => on.host.writeFileAtomic(name, text)));
    for (const name of names) expect((await on.host.readFile(name)) === text).toBe(true);
    await expect(on.host.writeFileAtomic(on.path('nul'), 'a\0b')).rejects.toBeInstanceOf(TypeError);
  });

  test('keeps the old file, and no other, when writing fails', async () => {
    writeFileSync(on.path('f'), 'old');
    await expect(on.host.writeFileAtomic('/proc/self/nope/f', 'new')).rejects.toMatchObject({
      code: 'ENOENT',
    });
    await expect(on.host.writeFileAtomic(on.path('f/below'), 'new')).rejects.toBeInstanceOf(FileError);
    expect(readFileSync(on.path('f'), 'utf8')).toBe('old');
    expect(readdirSync(on.directory)).toEqual(['f']);
  });

  test('creates a file only if there is none', async () => {
    await on.host.createExclusive(on.path('new'), { mode: 0o644 });
    expect(await on.host.stat(on.path('new'))).toMatchObject({ type: 'file', size: 0n, mode: 0o644 });
    await expect(on.host.createExclusive(on.path('new'))).rejects.toMatchObject({ code: 'EEXIST' });
    symlinkSync('/nowhere', on.path('dangling'));
    await expect(on.host.createExclusive(on.path('dangling'))).rejects.toMatchObject({ code: 'EEXIST' });
  });

  test('looks at many files at one moment as at each alone', async () => {
    writeFileSync(on.path('file'), '12345');
    writeFileSync(on.path("two\nlines 'quoted'"), '');
    symlinkSync('/nowhere', on.path('dangling'));
    const paths = [
      'file',
      'no',
      "two\nlines 'quoted'",
      'no\nfile',
      'dangling',
      'file/below',
      'x'.repeat(300),
    ];
    const look = async (name: string, followSymlinks: boolean) => {
      const said = await on.host.stat(on.path(name), { followSymlinks }).catch((error: unknown) => error);
      return said instanceof FileError ? { code: said.code, message: said.message } : said;
    };
    const asked = [true, false].flatMap((follow) => paths.map((name) => [name, follow] as const));
    const alone = [];
    for (const [name, follow] of asked) alone.push(await look(name, follow));
    expect(alone.map((said) => said !== null && 'code' in (said as object))).toContain(true);
    expect(await Promise.all(asked.map(([name, follow]) => look(name, follow)))).toEqual(alone);
  });

  test('tells files, directories, links, sockets, fifos and devices apart', async () => {
    execFileSync('mkfifo', [on.path('fifo')]);
    symlinkSync('/dev/null', on.path('link'));
    writeFileSync(on.path('file'), '12345');
    expect((await on.host.stat(on.path('fifo')))?.type).toBe('fifo');
    expect((await on.host.stat(on.path('link')))?.type).toBe('character');
    expect((await on.host.stat(on.path('link'), { followSymlinks: false }))?.type).toBe('symlink');
    expect((await on.host.stat(on.directory))?.type).toBe('directory');
    expect(await on.host.stat('/dev/zero')).toMatchObject({
      type: 'character',
      rdev: { major: 1, minor: 5 },
    });
    expect(await on.host.stat(on.path('file'))).toMatchObject({ type: 'file', size: 5n, uid: 0, gid: 0 });
    expect(await on.host.stat(on.path('file/below'))).toBeNull();
    expect(await on.host.stat(on.path('none'))).toBeNull();
  });

  test('knows lengths beyond 2^53, allocation and nanoseconds exactly', async () => {
    execFileSync('truncate', ['-s', '12000000000000', on.path('sparse')]);
    execFileSync('touch', ['-d', '@1700000000.123456789', on.path('sparse')]);
    const stat = await on.host.stat(on.path('sparse'));
    expect(stat).toMatchObject({
      size: 12_000_000_000_000n,
      allocated: 0n,
      mtimeNs: 1_700_000_000_123_456_789n,
    });
  });

  test('lists, makes, renames and removes, whatever the names', async () => {
    const names = ['-rf', 'a\nb', 'q\'u"o', 'ünï', 'a b', '$x'];
    for (const name of names) await on.host.writeFileAtomic(on.path(name), name);
    expect(new Set(await on.host.readdir(on.directory))).toEqual(new Set(names));
    await on.host.mkdir(on.path('deep/er'), { parents: true, mode: 0o700 });
    await on.host.rename(on.path('-rf'), on.path('deep/er/a\nb'));
    await on.host.rename(on.path('ünï'), on.path('deep/er/a\nb'));
    expect(await on.host.readFile(on.path('deep/er/a\nb'))).toBe('ünï');
    expect(await on.host.unlink(on.path('deep/er/a\nb'))).toBe(true);
    expect(await on.host.unlink(on.path('deep/er/a\nb'))).toBe(false);
    await expect(on.host.unlink(on.path('deep'))).rejects.toBeInstanceOf(FileError);
    await expect(on.host.mkdir(on.path('deep'))).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(on.host.rename(on.path('none'), on.path('other'))).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(on.host.rename(on.path('a b'), '/dev/shm/bf-test')).rejects.toMatchObject({ code: 'EXDEV' });
  });

  test('resolves links, changes owner and mode, tells access and room', async () => {
    writeFileSync(on.path('f'), '');
    symlinkSync('f', on.path('l'));
    expect(await on.host.realpath(on.path('l'))).toBe(on.path('f'));
    await expect(on.host.realpath(on.path('none'))).rejects.toMatchObject({ code: 'ENOENT' });
    await on.host.chmod(on.path('f'), 0o4751);
    expect((await on.host.stat(on.path('f')))?.mode).toBe(0o4751);
    await on.host.chown(on.path('f'), 12_345, 54_321);
    expect(await on.host.stat(on.path('f'))).toMatchObject({ uid: 12_345, gid: 54_321 });
    expect(await on.host.access(on.path('f'), 'r')).toBe(true);
    expect(await on.host.access(on.path('none'), 'w')).toBe(false);
    const { available, total, type } = await on.host.statfs('/dev/shm');
    expect(type).toBe('tmpfs');
    expect(available > 0n && available <= total).toBe(true);
  });

  test('refuses relative paths', async () => {
    await expect(on.host.readFile('x')).rejects.toBeInstanceOf(TypeError);
    await expect(on.host.access('-x', 'r')).rejects.toBeInstanceOf(TypeError);
  });

  test('sizes block devices, and says what else is none', async () => {
    execFileSync('truncate', ['-s', '3M', on.path('disk')]);
    const device = execFileSync('losetup', ['--show', '-f', on.path('disk')], { encoding: 'utf8' }).trim();
    try {
      expect(await on.host.blockDeviceSize(device)).toBe(3n * 1024n * 1024n);
      expect((await on.host.stat(device))?.type).toBe('block');
      expect(await on.host.probeStorage(device, 5_000)).toEqual({ ok: true });
    } finally {
      execFileSync('losetup', ['-d', device]);
    }
    await expect(on.host.blockDeviceSize(on.path('disk'))).rejects.toMatchObject({ code: 'ENOTTY' });
  });

  test('finds storage that answers, fails, or is read-only', async () => {
    expect(await on.host.probeStorage(on.directory, 5_000)).toEqual({ ok: true });
    expect(await on.host.probeStorage(on.path('not there yet'), 5_000)).toEqual({ ok: true });
    expect(readdirSync(on.directory)).toEqual([]);
    expect(await on.host.probeStorage('/proc/x', 5_000)).toMatchObject({ ok: false, why: 'error' });
    expect(await on.host.probeStorage('/none/x', 5_000)).toMatchObject({ ok: false, why: 'error' });
  });

  test('survives storage that hangs: the operation times out, others go on, and it ends cleanly', async () => {
    const disk = on.path('disk');
    execFileSync('truncate', ['-s', '16M', disk]);
    execFileSync('mke2fs', ['-q', '-t', 'ext4', '-F', disk]);
    await on.host.mkdir(on.path('mnt'));
    execFileSync('mount', ['-o', 'loop', disk, on.path('mnt')]);
    try {
      writeFileSync(on.path('mnt/f'), 'old');
      execFileSync('fsfreeze', ['-f', on.path('mnt')]);
      try {
        expect(await on.host.probeStorage(on.path('mnt/f'), 300)).toMatchObject({ ok: false, why: 'hang' });
        const writes = Array.from({ length: 6 }, () =>
          on.host.writeFileAtomic(on.path('mnt/f'), 'new', { timeoutMs: 300 }),
        );
        for (const write of await Promise.allSettled(writes)) {
          expect(write).toMatchObject({
            status: 'rejected',
            reason: { name: 'HostError', code: 'timeout', command: `write ${on.path('mnt/f')}` },
          });
        }
        expect(await on.host.readFile(on.path('mnt/f'))).toBe('old');
      } finally {
        execFileSync('fsfreeze', ['-u', on.path('mnt')]);
      }
      expect(await on.host.probeStorage(on.path('mnt/f'), 5_000)).toEqual({ ok: true });
      expect(await on.host.readFile(on.path('mnt/f'))).toBe('old');
    } finally {
      await vi.waitFor(() => execFileSync('umount', [on.path('mnt')], { stdio: 'pipe' }), {
        timeout: 15_000,
      });
    }
  });
});

describe('a process that is killed while it writes', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
  beforeEach(async () => {
    directory = await temporaryDirectory();
  });
  afterEach(() => directory.remove());

  const path = (name: string) => join(directory.path, name);
  const program = (name: string, text: string) =>
    writeFileSync(path(`programs/${name}`), `#!/bin/sh\n${text}\n`, { mode: 0o755 });

  test('leaves nothing, however long the cleaning up takes', async () => {
    mkdirSync(path('programs'));
    mkdirSync(path('there'));
    program('sync', 'exec sleep 1000');
    program('rm', 'sleep 0.3; exec /bin/rm "$@"');
    const [file, programs] = [path('there/file'), path('programs')];
    const parent = await startTestProgram('write-and-wait.ts', 'null', file, programs);
    await vi.waitFor(() => expect(readdirSync(path('there'))).toHaveLength(1), 10_000);
    await killHard(parent);
    await vi.waitFor(() => expect(readdirSync(path('there'))).toEqual([]), 10_000);
  });

  test('nor does one that is given up', async () => {
    mkdirSync(path('programs'));
    mkdirSync(path('there'));
    program('sync', 'exec sleep 1000');
    vi.stubEnv('PATH', `${path('programs')}:${process.env.PATH}`);
    const host = localHost();
    try {
      const givenUp = new AbortController();
      const aborted = host.writeFileAtomic(path('there/aborted'), 'new', { signal: givenUp.signal });
      const late = host.writeFileAtomic(path('there/late'), 'new', { timeoutMs: 2_000 });
      const ends = Promise.allSettled([aborted, late]);
      await vi.waitFor(() => expect(readdirSync(path('there'))).toHaveLength(2), 2_000);
      givenUp.abort();
      expect(await ends).toMatchObject([{ reason: { code: 'aborted' } }, { reason: { code: 'timeout' } }]);
      await vi.waitFor(() => expect(readdirSync(path('there'))).toEqual([]), 10_000);
    } finally {
      vi.unstubAllEnvs();
      await host.close();
    }
  });

  test('and after a power failure the next who writes the same file removes what is left of it', async () => {
    const host = localHost();
    await host.writeFileAtomic(path('file'), 'old');
    const name = createHash('sha256').update(path('file')).digest('hex').slice(0, 12);
    for (const [whose, minutes] of [
      [name, 5],
      [name, 0],
      ['0123456789ab', 5],
    ] as const) {
      const left = path(`.blockferry-${whose}-${minutes}.tmp`);
      writeFileSync(left, '');
      const then = Date.now() / 1000 - 60 * minutes;
      utimesSync(left, then, then);
    }
    await host.writeFileAtomic(path('file'), 'new');
    expect(new Set(readdirSync(directory.path))).toEqual(
      new Set(['file', `.blockferry-${name}-0.tmp`, '.blockferry-0123456789ab-5.tmp']),
    );
    await host.close();
  });
});
