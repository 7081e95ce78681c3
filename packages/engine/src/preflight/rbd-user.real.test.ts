// A Ceph that wants keys: QEMU has its user's from libvirt's secret, our own looks find it in the host's keyring.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainXml } from '@blockferry/libvirt';
import {
  type CephCluster,
  fileAt,
  type LibvirtHost,
  type MovingGuest,
  type Place,
  run,
  startCeph,
  startLibvirtHost,
  startMovingGuest,
} from '@blockferry/testbed';
import { afterAll, beforeAll, expect, test } from 'vitest';

const SECRET = '5c1d3a52-94b6-4b0e-8f3e-2f0f6f6e3a11';
const AUTH = `<auth username='ferry'><secret type='ceph' uuid='${SECRET}'/></auth>`;

let host: LibvirtHost;
let vm: MovingGuest;
let ceph: CephCluster;

beforeAll(async () => {
  host = await startLibvirtHost();
  ceph = await startCeph({ parent: host.directory, auth: 'cephx' });
  await defineSecret(await ceph.addUser('ferry'));
  vm = await startMovingGuest(host, { layers: ['base', 'top'] });
});

afterAll(async () => {
  await vm?.mover.close();
  await host?.stop();
  await ceph?.stop();
});

async function defineSecret(key: string): Promise<void> {
  const file = join(host.directory, 'guest', 'secret.xml');
  const usage = `<usage type='ceph'><name>client.ferry secret</name></usage>`;
  await writeFile(file, `<secret ephemeral='no' private='no'><uuid>${SECRET}</uuid>${usage}</secret>`);
  await host.virsh('secret-define', file);
  await host.virsh('secret-set-value', SECRET, '--base64', key);
}

const rbdAt = (name: string): Place => {
  return {
    source: `rbd:rbd/${name}`,
    format: 'raw',
    image: { node: { driver: 'raw', file: ceph.node(name) } },
  };
};

const xmlOf = (name: string, auth: string) => {
  const source = ceph.sourceXml(name).replace('</source>', `${auth}</source>`);
  return `<disk type='network'><driver name='qemu' type='raw'/>${source}</disk>`;
};

const authOf = async (...which: readonly string[]) => {
  const xml = DomainXml.parse(await host.virsh('dumpxml', vm.name, ...which));
  return xml.disk('vda')?.source?.auth;
};

test('a user that libvirt has no secret for is refused, and so is one whose key the host lacks', async () => {
  const ask = { domain: vm.name, disk: 'vda', scope: 'flatten' } as const;
  const destination = `${ceph.uri('x')}:id=ferry`;
  expect(await vm.mover.refusal({ ...ask, destination })).toMatchObject({
    code: 'bad-destination',
    hint: expect.stringContaining("<auth username='ferry'>"),
  });
  const destinationXml = xmlOf('x', AUTH.replace('ferry', 'stranger'));
  expect(await vm.mover.refusal({ ...ask, destinationXml })).toMatchObject({ code: 'destination-unusable' });
});

test('described by XML with the user and its secret: made, moved to, and named by both definitions', async () => {
  await vm.move({ destinationXml: xmlOf('one', AUTH), scope: 'flatten' }, rbdAt('one'));
  for (const which of [[], ['--inactive']]) expect(await authOf(...which)).toContain(SECRET);
});

test('by its name and the user that the domain has by now; abort removes it', async () => {
  const destination = `${ceph.uri('two')}:id=ferry`;
  const ask = { domain: vm.name, disk: 'vda', destination };
  expect((await vm.mover.move({ ...ask, hold: true })).ending).toEqual({ kind: 'ready' });
  expect((await vm.mover.change(vm.name, { goal: 'abort' })).ending.kind).toBe('back');
  expect(await ceph.images()).toEqual(['one']);
  await vm.move({ destination }, rbdAt('two'));
  expect(await authOf('--inactive')).toContain(SECRET);
});

test('and back to a file', async () => {
  const path = join(host.imagesDir, 'back.qcow2');
  await run(['rm', join(ceph.directory, 'client.ferry.keyring')]);
  // Nobody but libvirt has the key any more: the disk cannot be looked at.
  expect(await vm.mover.refusal({ domain: vm.name, disk: 'vda', destination: path })).toMatchObject({
    code: 'chain-broken',
  });
  await ceph.addUser('ferry');
  await vm.move({ destination: path, format: 'qcow2' }, fileAt(path));
});
