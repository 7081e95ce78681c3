// A daemon on "another host": the system's ssh, a real sshd, and virt-ssh-helper or netcat behind it.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type LibvirtHost,
  type Sshd,
  startLibvirtHost,
  startSshd,
  until,
  writeNetcat,
} from '@blockferry/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Connection, connect } from '../index.ts';

let host: LibvirtHost;
let sshd: Sshd;
let netcat: string;

beforeAll(async () => {
  host = await startLibvirtHost({ name: 'bf-ssh' });
  sshd = await startSshd(host);
  netcat = await writeNetcat(join(host.imagesDir, 'netcat'));
});
afterAll(async () => {
  await sshd.stop();
  await host.stop();
});

function over(more = '', keyfile = sshd.keyfile): Promise<Connection> {
  // The throw-away host key would be asked about, and remembered in the user's known_hosts.
  const ssh = `no_verify=1&no_tty=1&keyfile=${keyfile}&known_hosts=/dev/null&known_hosts_verify=ignore`;
  return connect(`qemu+libssh://root@127.0.0.1:${sshd.port}/system?${ssh}${more}`, { timeoutMs: 20_000 });
}

/** What a failed connection says. */
async function failure(connecting: Promise<Connection>): Promise<string> {
  const outcome = await connecting.catch((error: unknown) => error);
  if (!(outcome instanceof Error)) throw new Error('it connected');
  return `${outcome.name}: ${outcome.message}`;
}

describe('over ssh', () => {
  it('virt-ssh-helper leads to the daemon of that host', async () => {
    const connection = await over();
    expect(await connection.hostname()).toBe('bf-ssh');
    await connection.close();
  });

  it('so does netcat, asked for by its path', async () => {
    const connection = await over(`&netcat=${netcat}`);
    expect(await connection.hostname()).toBe('bf-ssh');
    await connection.close();
  });

  it('so does netcat to a given socket', async () => {
    const connection = await over(`&proxy=netcat&netcat=${netcat}&socket=/run/libvirt/libvirt-sock`);
    expect(await connection.hostname()).toBe('bf-ssh');
    await connection.close();
  });

  it('many calls at once and large replies arrive whole', async () => {
    const connection = await over();
    const replies = await Promise.all(Array.from({ length: 50 }, () => connection.capabilities()));
    expect(new Set(replies).size).toBe(1);
    expect(replies[0]).toMatch(/<\/capabilities>\s*$/);
    await connection.close();
  });

  it('events arrive', async () => {
    const connection = await over();
    const events = await connection.subscribe('lifecycle');
    const xml = `<domain type='qemu'><name>far</name><memory>1024</memory><os><type>hvm</type></os></domain>`;
    const domain = await connection.defineDomainXml(xml);
    for await (const event of events) {
      expect(event.domain.name).toBe('far');
      break;
    }
    await domain.undefine();
    await connection.close();
  });

  it('the plain transport uses the ssh it is told, with the configuration of the user', async () => {
    const command = join(host.imagesDir, 'ssh');
    await writeFile(command, '#!/bin/sh\nexec ssh -o UserKnownHostsFile=/dev/null "$@"\n', { mode: 0o755 });
    const parameters = `command=${command}&no_verify=1&no_tty=1&keyfile=${sshd.keyfile}`;
    const connection = await connect(`qemu+ssh://root@127.0.0.1:${sshd.port}/system?${parameters}`);
    expect(await connection.hostname()).toBe('bf-ssh');
    await connection.close();
  });
});

describe('what ssh or the far side says is in the error', () => {
  it('when the key is not accepted', async () => {
    expect(await failure(over('', sshd.strangeKeyfile))).toMatch(/Permission denied/);
  });

  it('when nobody listens on the port', async () => {
    expect(await failure(connect('qemu+ssh://127.0.0.1:1/system?no_tty=1'))).toMatch(/Connection refused/);
  });

  it('when there is no such program over there', async () => {
    expect(await failure(over('&netcat=/no/such/nc'))).toMatch(/\/no\/such\/nc/);
  });

  it('when there is no such socket over there', async () => {
    expect(await failure(over(`&netcat=${netcat}&socket=/no/sock`))).toMatch(/ENOENT.*\/no\/sock/);
  });

  it('when there is no such ssh here', async () => {
    expect(await failure(connect('qemu+ssh://h/system?command=/no/such/ssh'))).toMatch(/\/no\/such\/ssh/);
  });

  it('when no daemon runs over there', async () => {
    await host.killLibvirtd();
    expect(await failure(over())).toMatch(/libvirt-sock|refused/);
    await host.restartLibvirtd();
  });
});

describe('a connection over ssh ends', () => {
  it('when the daemon dies, with one error for all', async () => {
    const connection = await over();
    await host.killLibvirtd();
    expect(await connection.closed).toMatchObject({ name: 'ConnectionClosed', why: 'lost' });
    await expect(connection.hostname()).rejects.toMatchObject({ name: 'ConnectionClosed' });
    await host.restartLibvirtd();
  });

  it('when we close it, and leaves no ssh behind', async () => {
    const before = await children();
    const connection = await over();
    expect((await children()).length).toBeGreaterThan(before.length);
    await connection.close();
    await until('end of ssh', async () => ((await children()).length === before.length ? true : undefined));
  });
});

/** Our processes called ssh. */
async function children(): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    const [, name, state, parent] = /^\d+ \((.*)\) (.) (\d+)/s.exec(stat) ?? [];
    if (name === 'ssh' && state !== 'Z' && Number(parent) === process.pid) found.push(pid);
  }
  return found;
}
