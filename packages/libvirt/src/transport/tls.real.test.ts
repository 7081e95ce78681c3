// TLS and TCP against a real libvirtd, with certificates made for the occasion.
import { once } from 'node:events';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { freePort, type LibvirtHost, run, startLibvirtHost } from '@blockferry/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Connection, connect } from '../index.ts';
import type { TlsPlan } from '../uri/transport-plan.ts';
import { connectTls } from './tls.ts';

let host: LibvirtHost;
let pki: string;
let tlsPort: number;
let tcpPort: number;
let configuration: string;

const openssl = (...args: readonly string[]) => run(['openssl', ...args], { cwd: pki });

/** An authority called `name`, and what it signs: each with its key, in one directory per holder. */
async function authority(
  name: string,
): Promise<(holder: string, file: string, extension: string) => Promise<void>> {
  const [key, certificate] = [`${name}-key.pem`, `${name}-cert.pem`];
  const subject = ['-subj', `/CN=${name}`, '-days', '2', '-nodes'];
  await openssl('req', '-x509', '-newkey', 'rsa:2048', '-keyout', key, '-out', certificate, ...subject);
  return async (holder, file, extension) => {
    await mkdir(join(pki, holder), { recursive: true });
    await run(['cp', certificate, join(holder, 'cacert.pem')], { cwd: pki });
    const paths = { key: join(holder, `${file}key.pem`), cert: join(holder, `${file}cert.pem`) };
    const request = ['req', '-newkey', 'rsa:2048', '-nodes', '-keyout', paths.key, '-out', 'request.pem'];
    await openssl(...request, '-subj', `/CN=${file}`, '-addext', extension);
    const signing = ['-CA', certificate, '-CAkey', key, '-CAcreateserial', '-copy_extensions', 'copy'];
    await openssl('x509', '-req', '-in', 'request.pem', '-out', paths.cert, '-days', '2', ...signing);
  };
}

async function makeCertificates(): Promise<void> {
  const [good, bad] = [await authority('good'), await authority('bad')];
  await good('server', 'server', 'subjectAltName=DNS:localhost');
  await good('client', 'client', 'extendedKeyUsage=clientAuth');
  await good('nameless', 'unused', 'extendedKeyUsage=clientAuth');
  await bad('stranger', 'client', 'extendedKeyUsage=clientAuth');
  // The stranger believes the server, but the server does not believe the stranger.
  await run(['cp', 'good-cert.pem', 'stranger/cacert.pem'], { cwd: pki });
}

/** libvirtd again, listening on the network too. */
async function listen(authTcp: 'none' | 'sasl'): Promise<void> {
  await host.killLibvirtd();
  const at = (file: string) => `"${join(pki, 'server', file)}"`;
  const settings = [
    'listen_addr = "127.0.0.1"',
    'listen_tls = 1',
    'listen_tcp = 1',
    `auth_tcp = "${authTcp}"`,
    `tls_port = "${tlsPort}"`,
    `tcp_port = "${tcpPort}"`,
    `key_file = ${at('serverkey.pem')}`,
    `cert_file = ${at('servercert.pem')}`,
    `ca_file = ${at('cacert.pem')}`,
  ];
  await writeFile(join(host.directory, 'etc/libvirtd.conf'), `${configuration}${settings.join('\n')}\n`);
  await host.inNamespace(['libvirtd', '--daemon', '--listen']);
  await host.virsh('version');
}

beforeAll(async () => {
  host = await startLibvirtHost({ name: 'bf-tls' });
  pki = join(host.imagesDir, 'pki');
  await mkdir(pki);
  await makeCertificates();
  [tlsPort, tcpPort] = [await freePort(), await freePort()];
  configuration = await readFile(join(host.directory, 'etc/libvirtd.conf'), 'utf8');
  await listen('none');
});
afterAll(() => host.stop());

const over = (name: string, holder: string, more = '', address = 'localhost'): Promise<Connection> =>
  connect(
    `qemu+${name}://${address}:${name === 'tls' ? tlsPort : tcpPort}/system?pkipath=${join(pki, holder)}${more}`,
    {
      timeoutMs: 20_000,
    },
  );

describe('over TLS', () => {
  it('a client that the daemon knows is welcome', async () => {
    const connection = await over('tls', 'client');
    expect(await connection.hostname()).toBe('bf-tls');
    await connection.close();
  });

  it('many calls at once and large replies arrive whole', async () => {
    const connection = await over('tls', 'client');
    const replies = await Promise.all(Array.from({ length: 50 }, () => connection.capabilities()));
    expect(new Set(replies).size).toBe(1);
    expect(replies[0]).toMatch(/<\/capabilities>\s*$/);
    await connection.close();
  });

  it('a client without a certificate is told what it lacks', async () => {
    await expect(over('tls', 'nameless')).rejects.toMatchObject({ name: 'TransportFailed' });
    await expect(over('tls', 'nameless')).rejects.toThrow(/certificate/);
  });

  it('a client with a certificate of another authority is turned away', async () => {
    await expect(over('tls', 'stranger')).rejects.toMatchObject({ name: 'TransportFailed' });
  });

  it('a server of another authority is not believed, unless asked to believe anyone', async () => {
    await run(['cp', '-r', 'client', 'credulous'], { cwd: pki });
    await run(['cp', 'bad-cert.pem', 'credulous/cacert.pem'], { cwd: pki });
    const refused = over('tls', 'credulous');
    await expect(refused).rejects.toMatchObject({ name: 'TransportFailed' });
    await expect(refused).rejects.toThrow(
      `unable to verify the first certificate (by ${join(pki, 'credulous/cacert.pem')})`,
    );
    const connection = await over('tls', 'credulous', '&no_verify=1');
    expect(await connection.hostname()).toBe('bf-tls');
    await connection.close();
  });

  it('a server with a certificate for another name is not believed', async () => {
    await expect(over('tls', 'client', '', '127.0.0.1')).rejects.toThrow(/altnames/);
  });

  it('a key that cannot be read is named', async () => {
    await run(['cp', '-r', 'client', 'broken'], { cwd: pki });
    await rename(join(pki, 'broken/cacert.pem'), join(pki, 'broken/other.pem'));
    await expect(over('tls', 'broken')).rejects.toThrow(join(pki, 'broken/cacert.pem'));
  });

  it('a certificate that is none, and a key that belongs to another one, are named', async () => {
    for (const holder of ['garbled', 'mixed']) await run(['cp', '-r', 'client', holder], { cwd: pki });
    await writeFile(join(pki, 'garbled/clientcert.pem'), 'no certificate');
    await run(['cp', 'server/serverkey.pem', 'mixed/clientkey.pem'], { cwd: pki });
    for (const holder of ['garbled', 'mixed']) {
      await expect(over('tls', holder)).rejects.toMatchObject({
        name: 'TransportFailed',
        message: expect.stringContaining(join(pki, holder, 'clientkey.pem')),
      });
    }
  });

  it('a port where nobody speaks TLS is not a daemon', async () => {
    const uri = `qemu+tls://127.0.0.1:${tcpPort}/system?pkipath=${join(pki, 'client')}`;
    await expect(connect(uri, { timeoutMs: 5_000 })).rejects.toMatchObject({ name: 'TransportFailed' });
  });
});

describe('at the far side of a handshake', () => {
  /** Whoever answers with the good certificate, and does `welcome` with each client. */
  async function impostor(welcome: (socket: TLSSocket) => void): Promise<{ plan: TlsPlan; server: Server }> {
    const [key, cert] = await Promise.all(
      ['key', 'cert'].map((kind) => readFile(join(pki, `server/server${kind}.pem`))),
    );
    const server = createServer({ key, cert }, (socket) => {
      socket.on('error', () => {});
      welcome(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const files = { ca: join(pki, 'client/cacert.pem') };
    return { server, plan: { kind: 'tls', host: 'localhost', port: address.port, verify: true, files } };
  }

  it('the welcome is taken off, and nothing else, even when RPC follows in the same breath', async () => {
    const { plan, server } = await impostor((socket) => socket.end(Buffer.from([1, 2, 3])));
    const transport = await connectTls(plan);
    expect(await buffer(transport.stream)).toEqual(Buffer.from([2, 3]));
    server.close();
  });

  it('another byte means that it is no libvirt daemon', async () => {
    const { plan, server } = await impostor((socket) => socket.write('HTTP/1.1 400'));
    await expect(connectTls(plan)).rejects.toThrow(/not a libvirt daemon/);
    server.close();
  });

  it('silence is waited for until we are told to give up, and then nothing stays open', async () => {
    const { promise, resolve } = Promise.withResolvers<TLSSocket>();
    const { plan, server } = await impostor(resolve);
    const giveUp = new AbortController();
    const connecting = connectTls(plan, { signal: giveUp.signal });
    const client = await promise;
    const reason = new Error('enough');
    giveUp.abort(reason);
    await expect(connecting).rejects.toBe(reason);
    client.resume();
    await once(client, 'close');
    server.close();
  });
});

describe('over TCP', () => {
  it('a daemon that asks for no authentication can be used', async () => {
    const connection = await over('tcp', 'client');
    expect(await connection.hostname()).toBe('bf-tls');
    await connection.close();
  });

  it('a port where nobody listens is named', async () => {
    const port = await freePort();
    await expect(connect(`qemu+tcp://127.0.0.1:${port}/system`)).rejects.toThrow(`127.0.0.1:${port}`);
  });

  it('a daemon that asks for SASL is refused with its words', async () => {
    await listen('sasl');
    await expect(over('tcp', 'client')).rejects.toThrow(/SASL/);
  });
});
