// The whole of a move over ssh: libvirt through virt-ssh-helper, tools and files through the same sshd, inside a host
// with a name and processes of its own. And NBD with TLS, whose certificates are where that host's libvirt has them.
import { appendFile, chmod, mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Host, sshHost } from '@blockferry/qemu';
import {
  fileAt,
  freePort,
  type MovingGuest,
  makeCertificates,
  nbdServer,
  run,
  type Sshd,
  startLibvirtHost,
  startMovingGuest,
  startSshd,
} from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { allocatedBytes } from '../inspect/index.ts';

let vm: MovingGuest;
let sshd: Sshd;
let images: string;
let certificates: string;

beforeAll(async () => {
  const host = await startLibvirtHost({ name: 'far-away' });
  images = host.imagesDir;
  certificates = join(host.directory, 'pki');
  await mkdir(certificates);
  await makeCertificates(certificates);
  for (const key of ['client-key.pem', 'server-key.pem']) await chmod(join(certificates, key), 0o644);
  await appendFile(join(host.directory, 'etc/qemu.conf'), `nbd_tls_x509_cert_dir = "${certificates}"\n`);
  await host.restartLibvirtd();
  sshd = await startSshd(host);
  const { port, keyfile, command } = sshd;
  const uri = `qemu+ssh://root@127.0.0.1:${port}/system?keyfile=${keyfile}&no_tty=1&command=${command}`;
  vm = await startMovingGuest(host, { layers: ['base', 'top'], uri, tools: farAway() });
});

afterAll(async () => {
  await vm.mover.close();
  await sshd.stop();
  await vm.host.stop();
});

function farAway(): Host {
  const { port, keyfile, command } = sshd;
  return sshHost({ host: '127.0.0.1', user: 'root', port, keyfile, command, noTty: true });
}

test('a file, shallow; tools and files are those of the far side', async () => {
  expect((await vm.mover.context.host?.run(['hostname']))?.stdout).toBe('far-away\n');
  const path = join(images, `a 'name' far, "away".qcow2`);
  await vm.move({ destination: path }, fileAt(path));
});

test('a relative path means nothing there', async () => {
  const refusal = await vm.mover.refusal({ domain: vm.name, disk: 'vda', destination: 'x.qcow2' });
  expect(refusal).toMatchObject({ code: 'bad-destination' });
});

test('with the definition kept aside, and back out of it', async () => {
  const path = join(images, 'aside.qcow2');
  const ask = { domain: vm.name, disk: 'vda', destination: path, undefine: true };
  expect((await vm.mover.move({ ...ask, hold: true })).ending.kind).toBe('ready');
  expect((await vm.mover.change(vm.name, { goal: 'abort' })).ending.kind).toBe('back');
  await expect(stat(path)).rejects.toThrow('ENOENT');
  await vm.move(ask, fileAt(path));
});

test('every session is dropped while it copies: it connects again and ends', async () => {
  const path = join(images, 'dropped.qcow2');
  const { move } = await vm.mover.plan({
    domain: vm.name,
    disk: 'vda',
    destination: path,
    scope: 'flatten',
    options: { bandwidth: 64n << 10n },
  });
  const running = vm.mover.run(move);
  await vm.host.inNamespace(['sh', '-c', 'until [ -s "$1" ]; do sleep 0.02; done', 'sh', path]);
  // That of libvirt and that of the tools.
  expect(await sshd.dropSessions()).toBeGreaterThanOrEqual(2);
  await vm.host.virsh('blockjob', vm.name, 'vda', '--bandwidth', '0');
  expect((await running).ending.kind).toBe('moved');
  await vm.proveWritesKept({ path, format: 'qcow2' });
});

test('so does one in layers, whose copy goes on where it was', async () => {
  const path = join(images, 'layers/dropped.qcow2');
  await mkdir(join(images, 'layers'));
  const options = { bandwidth: 1n << 20n };
  const { move } = await vm.mover.plan({
    domain: vm.name,
    disk: 'vda',
    destination: path,
    strategy: 'layered',
    scope: 'chain',
    options,
  });
  const running = vm.mover.run(move);
  const begun = 'until [ -s "$1" ]; do sleep 0.02; done; sleep 1';
  await vm.host.inNamespace(['sh', '-c', begun, 'sh', path]);
  expect(await sshd.dropSessions()).toBeGreaterThanOrEqual(2);
  const { ending, warnings } = await running;
  expect(ending).toEqual({ kind: 'moved' });
  expect(warnings.map(({ code }) => code)).toContain('host-away');
  await vm.proveWritesKept({ path, format: 'qcow2' });
});

test('a server that wants TLS, named by XML: tried with the certificates that QEMU will use', async () => {
  const path = join(images, 'tls.raw');
  await run(['truncate', '-s', String(vm.chain.size), path]);
  const port = await freePort();
  const credentials = `tls-creds-x509,id=t0,endpoint=server,dir=${certificates},verify-peer=on`;
  const extraArguments = ['--object', credentials, '--tls-creds', 't0'];
  await using server = await nbdServer({ path, export: 'vol', address: { port }, extraArguments });
  const xml = (tls: string) =>
    `<disk type='network'><driver name='qemu' type='raw'/><source protocol='nbd' name='vol' ${tls}><host name='127.0.0.1' port='${port}'/></source></disk>`;
  const ask = { domain: vm.name, disk: 'vda', scope: 'flatten' } as const;
  const plain = await vm.mover.refusal({ ...ask, destinationXml: xml('') });
  expect(plain).toMatchObject({ code: 'destination-unusable', message: expect.stringContaining('TLS') });
  expect(plain.hint).toContain('nbds://');
  const destinationXml = xml("tls='yes' tlsHostname='localhost'");
  const other = await vm.mover.refusal({ ...ask, destinationXml: xml("tls='yes' tlsHostname='other'") });
  expect(other).toMatchObject({
    code: 'destination-unusable',
    hint: expect.stringContaining('made for the name'),
  });
  // We could read it, as root; QEMU could not, and would say so when everything has been copied.
  const key = join(certificates, 'client-key.pem');
  await chmod(key, 0o600);
  const unread = await vm.mover.refusal({ ...ask, destinationXml });
  expect(unread).toMatchObject({ code: 'destination-unreachable', message: expect.stringContaining(key) });
  await chmod(key, 0o644);
  await vm.move(
    { ...ask, destinationXml },
    { source: server.uri.replace('nbd:', 'nbds:'), format: 'raw', image: { path, format: 'raw' } },
  );
  const back = join(images, 'back.qcow2');
  await vm.move({ destination: back, format: 'qcow2' }, fileAt(back));
  const uri = `nbds://127.0.0.1:${port}/vol?tls-hostname=localhost`;
  const place = {
    source: server.uri.replace('nbd:', 'nbds:'),
    format: 'raw',
    image: fileAt(path, 'raw').image,
  };
  await vm.move({ destination: uri, strategy: 'layered', scope: 'flatten' }, place);
  const again = join(images, 'again.qcow2');
  await vm.move({ destination: again, format: 'qcow2' }, fileAt(again));
  const { move } = await vm.move({ destination: uri }, place);
  expect(move.destination.source).toMatchObject({ tls: true, tlsHostname: 'localhost' });
  expect(await allocatedBytes(vm.mover.context, move)).toBeLessThan(vm.chain.size / 2n);
});

test('nothing of ours is left on the far side', async () => {
  expect((await readdir(images)).filter((name) => /blockferry/.test(name))).toEqual([]);
});
