// The ways from host to host: tools and libvirt over ssh, on one side or both; and TLS straight from one to the other.
import { appendFile, chmod, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Guest,
  guestWriter,
  type LibvirtHost,
  makeCertificates,
  makeChain,
  run,
  startGuest,
} from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, migrateNow, proveKept, TwoHosts } from '../../test/migrating.ts';

let hosts: TwoHosts;
let guest: Guest;

beforeAll(async () => {
  hosts = await TwoHosts.start();
  const { one } = hosts;
  const chain = await makeChain(one.imagesDir, ['base', 'top'], { fill: 4n << 20n, relativeBacking: true });
  guest = await startGuest(one, {
    name: 'vm',
    disks: [{ target: 'vda', ...chain.top }],
    writers: [guestWriter('vda', chain.region)],
  });
});

afterAll(async () => {
  await hosts.stop();
});

async function forget(host: LibvirtHost): Promise<void> {
  for (const name of await readdir(host.imagesDir)) await run(['rm', '-r', join(host.imagesDir, name)]);
}

test('from here to a host over ssh, and from one host over ssh to another', async () => {
  const { one, two } = hosts;
  const [first, second] = [await hosts.overSsh(one), await hosts.overSsh(two)];
  await migrateNow(
    { home: hosts.side(one), away: second },
    ask('vm', { destinationDirectory: two.imagesDir }),
  );
  await proveKept(guest, two, { vda: join(two.imagesDir, 'top.qcow2') });
  await forget(one);
  const back = ask('vm', { destinationDirectory: one.imagesDir });
  const { ended, record } = await migrateNow({ home: second, away: first }, back);
  expect(ended.verified).toBe(ended.copied);
  await proveKept(guest, one, { vda: join(one.imagesDir, 'top.qcow2') });
  await forget(two);
  const left = await readdir('/tmp');
  expect(left.filter((name) => name.startsWith(`blockferry-${record.id}`))).toEqual([]);
});

test('by TLS, with the certificates that libvirt has for migrations', async () => {
  const { one, two } = hosts;
  for (const host of [one, two]) {
    const pki = join(host.directory, 'pki');
    await mkdir(pki);
    await makeCertificates(pki);
    for (const key of ['client-key.pem', 'server-key.pem']) await chmod(join(pki, key), 0o644);
    await appendFile(join(host.directory, 'etc/qemu.conf'), `migrate_tls_x509_cert_dir = "${pki}"\n`);
  }
  // One authority for both.
  await run(['sh', '-c', 'cp "$1"/pki/*.pem "$2"/pki/', 'sh', one.directory, two.directory]);
  await Promise.all([one.restartLibvirtd(), two.restartLibvirtd()]);
  // The same sshd, another connection: the certificates are where each host's qemu.conf says.
  const pair = { home: await hosts.overSsh(one), away: await hosts.overSsh(two) };
  const tls = { tls: { host: 'localhost' }, destinationDirectory: two.imagesDir };
  const { ended } = await migrateNow(pair, ask('vm', tls));
  expect(ended.verified).toBe(ended.copied);
  await proveKept(guest, two, { vda: join(two.imagesDir, 'top.qcow2') });
});
