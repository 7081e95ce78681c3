// What a real guest's failing disk looks like from here: events, state, disk errors.
import { join } from 'node:path';
import {
  faultyNbdServer,
  guestWriter,
  type LibvirtHost,
  run,
  startGuest,
  startLibvirtHost,
} from '@blockferry/testbed';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Connection, connect, DomainPausedReason } from '../../index.ts';

let host: LibvirtHost;
let connection: Connection;

beforeAll(async () => {
  host = await startLibvirtHost({ name: 'bf-io-errors' });
  connection = await connect(host.uri);
});
afterAll(async () => {
  await connection.close();
  await host.stop();
});

it('a disk without room pauses the guest, and says why', async () => {
  const path = join(host.imagesDir, 'full.raw');
  await run(['truncate', '-s', '16M', path]);
  // A named export: for one without a name libvirt 9.0 has no source path and cannot encode the event (see kinds.ts).
  await using server = await faultyNbdServer({ path, error: 'ENOSPC', export: 'disk', failing: ['pwrite'] });
  await using errors = await connection.subscribe('ioError');
  await using reasons = await connection.subscribe('ioErrorReason');
  const disk = { target: 'vda', format: 'raw', type: 'network', xml: server.sourceXml } as const;
  const writer = guestWriter('vda', { offset: 0n, length: 8_388_608n });
  await startGuest(host, { name: 'full', disks: [disk], writers: [writer] });
  const domain = await connection.lookupDomainByName('full');
  expect(await domain.diskErrors()).toEqual([]);

  await server.fail();

  const about = { alias: 'virtio-disk0', action: 'pause', domain: { uuid: domain.uuid } };
  expect((await errors.next()).value).toMatchObject(about);
  expect((await reasons.next()).value).toMatchObject({ ...about, reason: 'enospc' });
  expect(await domain.getState()).toEqual({ state: 'paused', reason: DomainPausedReason.IOERROR });
  expect(await domain.diskErrors()).toEqual([{ disk: 'vda', error: 'noSpace' }]);

  await server.heal();
  await domain.resume();
  expect(await domain.getState()).toMatchObject({ state: 'running' });
});
