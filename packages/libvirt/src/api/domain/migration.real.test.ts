// Live migration between two real hosts: in one call, and phase by phase.
import { freePort, type LibvirtHost, startLibvirtHost } from '@blockferry/testbed';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Connection, connect, type Domain, DomainMigrateFlags, ErrorCode } from '../../index.ts';

let source: LibvirtHost;
let destination: LibvirtHost;
let here: Connection;
let there: Connection;
let domain: Domain;
let count = 0;

const { LIVE, PEER2PEER, CHANGE_PROTECTION } = DomainMigrateFlags;

beforeAll(async () => {
  [source, destination] = await Promise.all([
    startLibvirtHost({ name: 'bf-source' }),
    startLibvirtHost({ name: 'bf-destination' }),
  ]);
  [here, there] = await Promise.all([connect(source.uri), connect(destination.uri)]);
});
beforeEach(async () => {
  count++;
  domain = await here.createDomainXml(`<domain type='qemu'>
    <name>vm${count}</name><memory unit='MiB'>64</memory>
    <os><type arch='x86_64' machine='q35'>hvm</type></os>
    <devices><controller type='usb' model='none'/><memballoon model='none'/></devices>
  </domain>`);
});
afterAll(async () => {
  await Promise.all([here.close(), there.close()]);
  await Promise.all([source.stop(), destination.stop()]);
});

const migrateUri = async () => `tcp://127.0.0.1:${await freePort()}`;

async function isHere(): Promise<boolean> {
  return (await here.listAllDomains()).some(({ uuid }) => uuid === domain.uuid);
}

async function isThere(): Promise<boolean> {
  return (await there.listAllDomains()).some(({ uuid }) => uuid === domain.uuid);
}

describe('peer to peer', () => {
  it('one call moves the domain, and both sides tell', async () => {
    await using gone = await here.subscribe('lifecycle', { domain });
    await using iterations = await here.subscribe('migrationIteration', { domain });
    await using done = await here.subscribe('jobCompleted', { domain });
    await using came = await there.subscribe('lifecycle');
    const params = { migrate_uri: await migrateUri(), bandwidth: 100n };
    await domain.migratePerform3(destination.uri, params, LIVE);
    expect([await isHere(), await isThere()]).toEqual([false, true]);
    expect((await came.next()).value).toMatchObject({ event: 'started', detail: 'migrated' });
    for await (const change of gone) if (change.event === 'stopped' && change.detail === 'migrated') break;
    expect((await iterations.next()).value).toMatchObject({ iteration: expect.any(Number) });
    expect((await done.next()).value?.params).toMatchObject({
      operation: 5,
      memory_total: expect.any(BigInt),
    });
    const moved = await there.lookupDomainByUuid(domain.uuid);
    expect(await moved.getState()).toMatchObject({ state: 'running' });
    await moved.destroy();
  });

  it('can be watched, slowed and aborted meanwhile', async () => {
    expect(await domain.migrateGetMaxSpeed()).toBeGreaterThan(0n);
    await domain.migrateSetMaxSpeed(1n);
    expect(await domain.migrateGetMaxSpeed()).toBe(1n);
    await domain.migrateSetMaxDowntime(200n);
    expect(await domain.migrateGetMaxDowntime()).toBe(200n);
    await expect(domain.migrateStartPostCopy()).rejects.toMatchObject({ code: ErrorCode.OPERATION_INVALID });
    await expect(domain.abortPostCopy()).rejects.toMatchObject({ code: ErrorCode.OPERATION_INVALID });
    await using started = await here.subscribe('migrationIteration', { domain });
    const migrating = domain.migratePerform3(destination.uri, { migrate_uri: await migrateUri() }, LIVE);
    const failed = expect(migrating).rejects.toMatchObject({ name: 'LibvirtError' });
    await started.next();
    expect(await domain.jobStats()).toMatchObject({ type: 'unbounded', stats: { operation: 5 } });
    await domain.abortJob();
    await failed;
    expect([await isHere(), await isThere()]).toEqual([true, false]);
    await domain.destroy();
  });

  it('to nowhere fails with a typed error, and the domain stays', async () => {
    const nowhere = 'qemu+unix:///system?socket=/nowhere/libvirt-sock';
    const migrating = domain.migratePerform3(nowhere, {}, LIVE | PEER2PEER);
    await expect(migrating).rejects.toMatchObject({
      code: expect.any(Number),
      procedure: 'DOMAIN_MIGRATE_PERFORM3_PARAMS',
    });
    expect(await domain.getState()).toMatchObject({ state: 'running' });
    await domain.destroy();
  });
});

describe('phase by phase', () => {
  it('moves the domain', async () => {
    const flags = LIVE | CHANGE_PROTECTION;
    const migrate_uri = await migrateUri();
    const begun = await domain.migrateBegin3({ migrate_uri }, flags);
    expect(begun.xml).toContain(domain.uuid);
    const more = { migrate_uri, destination_xml: begun.xml };
    const prepared = await there.migratePrepare3(more, begun.cookie, flags);
    const performing = { migrate_uri: prepared.uri ?? migrate_uri, destination_xml: begun.xml };
    const performed = await domain.migratePerform3Phase(performing, prepared.cookie, flags);
    const arrival = { migrate_uri, destination_name: domain.name };
    const finished = await there.migrateFinish3(arrival, performed, flags, false);
    await domain.migrateConfirm3({ migrate_uri }, finished.cookie, flags, false);
    expect([await isHere(), await isThere()]).toEqual([false, true]);
    expect(await finished.domain.getState()).toMatchObject({ state: 'running' });
    await finished.domain.destroy();
  });

  it('can be called off: the domain stays where it was', async () => {
    const flags = LIVE | CHANGE_PROTECTION;
    const migrate_uri = await migrateUri();
    const begun = await domain.migrateBegin3({ migrate_uri }, flags);
    const more = { migrate_uri, destination_xml: begun.xml };
    const prepared = await there.migratePrepare3(more, begun.cookie, flags);
    const arrival = { migrate_uri, destination_name: domain.name };
    await there.migrateFinish3(arrival, prepared.cookie, flags, true).catch((error: unknown) => {
      expect(error).toMatchObject({ name: 'LibvirtError' });
    });
    await domain.migrateConfirm3({ migrate_uri }, new Uint8Array(0), flags, true);
    expect([await isHere(), await isThere()]).toEqual([true, false]);
    expect(await domain.getState()).toMatchObject({ state: 'running' });
    await domain.destroy();
  });

  it('refuses to move a domain to the host it is on', async () => {
    const begun = await domain.migrateBegin3({}, LIVE);
    const prepared = here.migratePrepare3({ destination_xml: begun.xml }, begun.cookie, LIVE);
    await expect(prepared).rejects.toMatchObject({ code: ErrorCode.INTERNAL_ERROR });
    await domain.destroy();
  });
});
