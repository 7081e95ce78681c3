// The connection itself against a real libvirtd: what the host says, look-ups, limits, refusals, and its death.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type LibvirtHost, startLibvirtHost } from '@blockferry/testbed';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeDomain, xmlOf } from '../../test/domains.ts';
import {
  type Connection,
  connect,
  DomainStatsFlags,
  DomainStatsTypes,
  DriverFeature,
  ErrorCode,
  procedure,
  xdr,
} from '../index.ts';

let host: LibvirtHost;
let connection: Connection;

beforeAll(async () => {
  host = await startLibvirtHost({ name: 'bf-connection' });
  connection = await connect(host.uri);
});
afterAll(async () => {
  await connection.close();
  await host.stop();
});

const code = (wanted: number) => expect.objectContaining({ name: 'LibvirtError', code: wanted });

describe('the host', () => {
  it('tells what it is', async () => {
    expect(await connection.hostname()).toBe('bf-connection');
    expect(await connection.type()).toBe('QEMU');
    expect(await connection.uriOnServer()).toBe('qemu:///system');
    expect(await connection.version()).toBeGreaterThan(5_000_000n);
    expect(await connection.libVersion()).toBeGreaterThanOrEqual(8_000_000n);
    expect(await connection.nodeInfo()).toMatchObject({ model: 'x86_64', memoryKiB: expect.any(BigInt) });
    expect((await connection.nodeInfo()).cpus).toBeGreaterThan(0);
    expect(await connection.freeMemory()).toBeGreaterThan(0n);
    expect(await connection.isSecure()).toBe(true);
    expect(await connection.capabilities()).toContain('<capabilities>');
    expect(await connection.domainCapabilities({ virtType: 'qemu', machine: 'q35' })).toContain(
      '<domainCapabilities>',
    );
  });

  it('tells whether it has a network, and whether that is active', async () => {
    await expect(connection.isNetworkActive('nowhere')).rejects.toEqual(code(ErrorCode.NO_NETWORK));
    const file = join(host.directory, 'guest', 'network.xml');
    await writeFile(file, '<network><name>idle</name><bridge name="bf-idle"/></network>');
    await host.virsh('net-define', file);
    expect(await connection.isNetworkActive('idle')).toBe(false);
  });

  it('tells which features it has, and knows no others', async () => {
    expect(await connection.supportsFeature(DriverFeature.REMOTE_EVENT_CALLBACK)).toBe(true);
    expect(await connection.supportsFeature(DriverFeature.MIGRATION_V3)).toBe(true);
    expect(await connection.supportsFeature(999)).toBe(false);
  });
});

describe('domains', () => {
  it('are found by name, uuid and id, and not found with a typed error', async () => {
    const { domain } = await makeDomain(host, connection, 'found');
    expect((await connection.lookupDomainByName('found')).uuid).toBe(domain.uuid);
    expect((await connection.lookupDomainByUuid(domain.uuid)).name).toBe('found');
    expect((await connection.lookupDomainById(domain.id)).name).toBe('found');
    expect((await connection.listAllDomains()).map(({ name }) => name)).toContain('found');
    await expect(connection.lookupDomainByName('nobody')).rejects.toEqual(code(ErrorCode.NO_DOMAIN));
    await expect(connection.lookupDomainByUuid(crypto.randomUUID())).rejects.toEqual(
      code(ErrorCode.NO_DOMAIN),
    );
    await domain.destroy();
    await domain.undefine();
    await expect(domain.getState()).rejects.toEqual(code(ErrorCode.NO_DOMAIN));
  });

  it('are measured together', async () => {
    const { domain } = await makeDomain(host, connection, 'measured');
    const types = DomainStatsTypes.STATE | DomainStatsTypes.BLOCK;
    const all = await connection.allDomainStats([], types, DomainStatsFlags.NOWAIT);
    const one = await connection.allDomainStats([domain], types, DomainStatsFlags.BACKING);
    expect(all.map((record) => record.domain.name)).toContain('measured');
    expect(one).toHaveLength(1);
    expect(one[0]?.stats).toMatchObject({ 'state.state': 1, 'block.count': 1, 'block.0.name': 'vda' });
    expect(one[0]?.stats['block.0.capacity']).toBe(16_777_216n);
    await domain.destroy();
    await domain.undefine();
  });

  it('are refused by a read-only connection’s changes', async () => {
    const reader = await connect(host.uri, { readonly: true });
    expect(await reader.hostname()).toBe('bf-connection');
    const refused = reader.defineDomainXml(xmlOf('nothing', '/nothing'));
    await expect(refused).rejects.toEqual(code(ErrorCode.OPERATION_DENIED));
    await reader.close();
  });
});

describe('the protocol', () => {
  it('answers a procedure it does not know with an error, and goes on', async () => {
    const unknown = procedure('FROM_THE_FUTURE', 9_999, {}, {});
    await expect(connection.call(unknown, {})).rejects.toMatchObject({
      code: ErrorCode.RPC,
      message: expect.stringContaining('unknown procedure'),
    });
    expect(await connection.hostname()).toBe('bf-connection');
  });

  it('takes procedures that the caller declares', async () => {
    const cells = procedure(
      'NODE_GET_CELLS_FREE_MEMORY',
      101,
      { startCell: xdr.int32(), maxCells: xdr.int32() },
      { cells: xdr.array(xdr.uhyper(), 1_024) },
    );
    const reply = await connection
      .call(cells, { startCell: 0, maxCells: 1 })
      .catch((error: unknown) => error);
    // Some kernels have no such file system; the answer is of the declared shape or a LibvirtError.
    expect(reply).toSatisfy((r: unknown) => (r as Error).name === 'LibvirtError' || 'cells' in Object(r));
  });

  it('carries a thousand calls at once, each with its own answer', async () => {
    const types = await Promise.all(Array.from({ length: 1_000 }, () => connection.type()));
    expect(new Set(types)).toEqual(new Set(['QEMU']));
  });

  it('refuses a string that is too long before it is sent, and one just within the limit after', async () => {
    await expect(connection.lookupDomainByName('x'.repeat(4_194_305))).rejects.toMatchObject({
      name: 'XdrError',
    });
    // Far below the limit: the daemon echoes the name in its error, which has to fit too.
    await expect(connection.lookupDomainByName('x'.repeat(1_000_000))).rejects.toEqual(
      code(ErrorCode.NO_DOMAIN),
    );
    expect(await connection.hostname()).toBe('bf-connection');
  });
});

describe('a URI the daemon does not know', () => {
  it('is refused with its own words', async () => {
    const wrong = connect(`esx:///system?socket=${host.socket}`);
    await expect(wrong).rejects.toMatchObject({
      name: expect.stringMatching(/LibvirtError|ConnectionUriError/),
    });
  });

  it('may name the test driver, which needs no hypervisor', async () => {
    await using test = await connect(`test:///default?socket=${host.socket}`);
    expect((await test.listAllDomains()).map(({ name }) => name)).toEqual(['test']);
  });
});

describe('a domain whose QEMU is stuck', () => {
  it('keeps nobody from asking about others, and its calls are answered when it goes on', async () => {
    const { domain } = await makeDomain(host, connection, 'stuck');
    const other = (await makeDomain(host, connection, 'other')).domain;
    const pid = await host.qemuPid('stuck');
    if (pid === undefined) expect.unreachable('no QEMU');
    process.kill(pid, 'SIGSTOP');
    try {
      // Four more than a server works on at once, on one domain that does not answer.
      const stuck = Promise.allSettled(
        Array.from({ length: 9 }, () => domain.blockStats('vda', { timeoutMs: null })),
      );
      expect(await connection.type()).toBe('QEMU');
      expect(await other.getXmlDesc()).toContain('<name>other</name>');
      expect(await other.blockJobInfo('vda')).toBeNull();
      expect(await domain.getState()).toMatchObject({ state: 'running' });
      expect(await domain.controlInfo()).toMatchObject({ state: 'occupied' });
      const late = domain.suspend({ timeoutMs: 50 });
      await expect(late).rejects.toMatchObject({ name: 'CallTimeout' });
      process.kill(pid, 'SIGCONT');
      for (const outcome of await stuck) expect(outcome).toHaveProperty('value.rd_bytes');
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    for (const each of [domain, other]) {
      await each.destroy();
      await each.undefine();
    }
  });
});

describe('many domains whose QEMUs are stuck', () => {
  it('keep neither us nor virsh from the others, though we ask about all of them at once', async () => {
    const other = (await makeDomain(host, connection, 'healthy')).domain;
    const domains = [];
    for (let i = 0; i < 6; i++) domains.push((await makeDomain(host, connection, `stuck${i}`)).domain);
    const pids = await Promise.all(domains.map(({ name }) => host.qemuPid(name)));
    const signal = (name: NodeJS.Signals) => {
      for (const pid of pids) if (pid !== undefined) process.kill(pid, name);
    };
    signal('SIGSTOP');
    const asked = Promise.allSettled(
      domains.flatMap((domain) => [
        domain.blockStats('vda', { timeoutMs: null }),
        domain.blockInfo('vda', { timeoutMs: null }),
        domain.blockJobInfo('vda', { timeoutMs: null }),
        domain.blockJobAbort('vda'),
      ]),
    );
    try {
      // Until the calls have taken all the places there are.
      await delay(500);
      expect(await connection.type()).toBe('QEMU');
      expect(await other.getXmlDesc()).toContain('healthy');
      expect(await host.virsh('domblkinfo', 'healthy', 'vda')).toContain('Capacity');
    } finally {
      signal('SIGCONT');
    }
    const refused = (await asked).filter(({ status }) => status === 'rejected');
    // No disk has a job to abort; all else was answered.
    expect(refused).toHaveLength(domains.length);
    expect(await other.blockStats('vda')).toHaveProperty('rd_bytes');
    for (const each of [...domains, other]) {
      await each.destroy();
      await each.undefine();
    }
  });
});

describe('the end of the daemon', () => {
  it('fails what is pending and ends event streams; a new connection finds the domain as it was', async () => {
    const doomed = await connect(host.uri);
    const { domain } = await makeDomain(host, doomed, 'survivor');
    const events = await doomed.subscribe('lifecycle');
    const pid = await host.qemuPid('survivor');
    if (pid === undefined) expect.unreachable('no QEMU');
    process.kill(pid, 'SIGSTOP');
    const pending = domain.blockStats('vda');
    const waiting = events.next();
    const failures = Promise.allSettled([pending, waiting]);
    await host.killLibvirtd();
    process.kill(pid, 'SIGCONT');
    const closed = await doomed.closed;
    expect(closed).toMatchObject({ name: 'ConnectionClosed', why: 'lost' });
    for (const failure of await failures)
      expect(failure).toMatchObject({ status: 'rejected', reason: closed });
    await expect(connect(host.uri)).rejects.toMatchObject({ name: 'TransportFailed' });

    // QEMU has to see that who asked is gone. It would answer the next libvirtd, which ends a domain that it cannot talk to.
    await delay(500);
    await host.restartLibvirtd();
    connection = await connect(host.uri);
    const again = await connection.lookupDomainByUuid(domain.uuid);
    expect(await again.getState()).toMatchObject({ state: 'running' });
    await again.destroy();
    await again.undefine();
  });

  it('is noticed by keepalive when the daemon is there and silent', async () => {
    const watched = await connect(host.uri, { keepalive: { intervalMs: 100, count: 2 } });
    const pid = await host.libvirtdPid();
    if (pid === undefined) expect.unreachable('no libvirtd');
    process.kill(pid, 'SIGSTOP');
    try {
      expect(await watched.closed).toMatchObject({ why: 'keepalive' });
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    expect(await connection.hostname()).toBe('bf-connection');
  });

  it('does not come to a connection that is idle: its pings are answered', async () => {
    await using idle = await connect(host.uri, { keepalive: { intervalMs: 100, count: 5 } });
    await delay(700);
    expect(idle.isClosed).toBe(false);
  });
});
