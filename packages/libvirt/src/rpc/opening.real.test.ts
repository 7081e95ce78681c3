// Authentication by polkit, against a real libvirtd that asks for it.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type LibvirtHost, run, startLibvirtHost } from '@blockferry/testbed';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connect } from '../index.ts';

let host: LibvirtHost;

beforeAll(async () => {
  host = await startLibvirtHost({ name: 'bf-polkit', libvirtdConf: ['unix_sock_rw_perms = "0777"'] });
  const file = join(host.directory, 'etc/libvirtd.conf');
  const configuration = await readFile(file, 'utf8');
  await writeFile(file, configuration.replace('auth_unix_rw = "none"', 'auth_unix_rw = "polkit"'));
  await host.restartLibvirtd();
});
afterAll(() => host.stop());

it('root needs no permission', async () => {
  await using connection = await connect(host.uri);
  expect(await connection.hostname()).toBe('bf-polkit');
});

it('another user is let in by polkit alone: without a polkit that agrees, not at all', async () => {
  const user = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];
  const script = new URL('../../test/connect-once.ts', import.meta.url).pathname;
  const client = [...user, process.execPath, '--conditions=blockferry-source', script, host.uri];
  const { stdout } = await run(client, { timeoutMs: 60_000 });
  // What it says depends on whether the machine has a system bus, and polkit on it.
  expect(JSON.parse(stdout)).toEqual({
    error: expect.stringMatching(/^LibvirtError: .*(authentication|bus|polkit)/),
  });
});
