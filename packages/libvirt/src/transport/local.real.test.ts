// Daemons of this host, found as libvirt's own client finds them: of the system, and of a user's session.
import { chmod, chown, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type LibvirtHost, run, startLibvirtHost } from '@blockferry/testbed';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

const client = fileURLToPath(new URL('../../test/connect-once.ts', import.meta.url));
const node = [process.execPath, '--conditions=blockferry-source', client];

describe('the system daemon', () => {
  let host: LibvirtHost;
  beforeAll(async () => {
    host = await startLibvirtHost({ name: 'bf-local' });
  });
  afterAll(() => host.stop());

  const inside = async (
    uri: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<unknown> =>
    JSON.parse(
      (await host.inNamespace([...node, ...uri], { env: { LIBVIRT_DEFAULT_URI: '', ...env } })).stdout,
    );
  const found = { hostname: 'bf-local', uri: 'qemu:///system', refused: true };

  it('is found by root without a word, by LIBVIRT_DEFAULT_URI, and by an alias of libvirt.conf', async () => {
    await writeFile(
      join(host.directory, 'etc/libvirt.conf'),
      'uri_aliases = [ "here=qemu+unix:///system" ]\n',
    );
    expect(await inside([])).toEqual(found);
    expect(await inside(['here'])).toEqual(found);
    expect(await inside([], { LIBVIRT_DEFAULT_URI: 'here' })).toEqual(found);
    expect(await inside(['remote:///'])).toEqual(found);
    expect(await inside(['qemu:///session'])).toMatchObject({ hostname: 'bf-local' });
  });

  it('is found on the socket of the modular daemon where there is no other', async () => {
    const socket = (name: string): string => join(host.directory, 'run/libvirt', name);
    await rename(socket('libvirt-sock'), socket('virtqemud-sock'));
    expect(await inside(['qemu:///system'])).toEqual(found);
    expect(await inside(['qemu:///system?mode=direct'])).toEqual(found);
    expect(await inside(['qemu:///system?mode=legacy'])).toEqual({
      error: expect.stringContaining('ENOENT'),
    });
    await rename(socket('virtqemud-sock'), socket('libvirt-sock'));
  });

  it('that does not run is named by its sockets', async () => {
    await host.killLibvirtd();
    await rm(host.socket, { force: true });
    expect(await inside([])).toEqual({
      error: expect.stringMatching(/virtqemud-sock or \/var\/run\/libvirt\/libvirt-sock/),
    });
    await host.restartLibvirtd();
  });
});

describe('the session daemon of an ordinary user', () => {
  const nobody = 65_534;
  let directory: string;

  /** Runs the client as that user, in a home of its own. */
  async function asUser(env: Readonly<Record<string, string>> = {}): Promise<unknown> {
    const clean = ['env', '-i', 'PATH=/usr/bin:/usr/sbin:/bin', `HOME=${directory}`];
    const variables = Object.entries({ XDG_RUNTIME_DIR: join(directory, 'run'), ...env });
    const who = ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups'];
    const assignments = variables
      .filter(([, value]) => value !== '')
      .map(([name, value]) => `${name}=${value}`);
    return JSON.parse((await run([...who, ...clean, ...assignments, ...node], { cwd: '/' })).stdout);
  }

  const daemonPid = async (base = 'run'): Promise<number> =>
    Number.parseInt(await readFile(join(directory, base, 'libvirt/libvirtd.pid'), 'utf8'), 10);

  beforeEach(async () => {
    directory = await mkdtemp('/var/tmp/bf-session-');
    await mkdir(join(directory, 'run'), { mode: 0o700 });
    for (const path of [directory, join(directory, 'run')]) await chown(path, nobody, nobody);
  });
  afterEach(async () => {
    for (const base of ['run', '.cache']) {
      const pid = await daemonPid(base).catch(() => undefined);
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
    }
    await rm(directory, { recursive: true, maxRetries: 5, retryDelay: 100 });
  });

  const found = { hostname: hostname(), uri: 'qemu:///session', refused: true };

  it('is started when nobody listens, outlives its first client, and serves the next', async () => {
    expect(await asUser()).toEqual(found);
    const pid = await daemonPid();
    expect(await asUser()).toEqual(found);
    expect(await daemonPid()).toBe(pid);
  });

  it('is one for two clients that come at once', async () => {
    expect(await Promise.all([asUser(), asUser()])).toEqual([found, found]);
    expect(await asUser()).toEqual(found);
  });

  it('listens in the cache when there is no runtime directory', async () => {
    expect(await asUser({ XDG_RUNTIME_DIR: '' })).toEqual(found);
    expect(await daemonPid('.cache')).toBeGreaterThan(0);
  });

  it('is not started where the user forbids it', async () => {
    expect(await asUser({ LIBVIRT_AUTOSTART: '0' })).toEqual({ error: expect.stringContaining('ENOENT') });
    await expect(daemonPid()).rejects.toThrow('ENOENT');
  });

  it('that cannot start is quoted', async () => {
    const program = join(directory, 'libvirtd');
    await writeFile(program, '#!/bin/sh\necho "no space for a pid file" >&2\nexit 7\n');
    await chmod(program, 0o755);
    expect(await asUser({ VIRTD_PATH: directory })).toEqual({
      error: expect.stringMatching(
        /--timeout=120 was started, but it ended with exit code 7: no space for a pid file/,
      ),
    });
  });
});
