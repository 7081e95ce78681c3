import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { valuesOf } from '../../test/arbitrary.ts';
import { connected, domain, send } from '../../test/event-daemon.ts';
import { Program } from '../rpc/procedure.ts';
import type { Infer, Schema } from '../xdr/schema.ts';
import { type DomainEventName, domainEvents, monitorEvent, poolEvents } from './kinds.ts';

const { blockJob2, metadataChange } = domainEvents;

describe('every event', () => {
  const names = Object.keys(domainEvents) as DomainEventName[];

  test('of libvirt’s table is there, under its own numbers', () => {
    const numbers = Object.values(domainEvents).map(({ id, procedure }) => [id, procedure]);
    expect(numbers).toEqual([
      [0, 318],
      [1, 319],
      [2, 320],
      [3, 321],
      [4, 322],
      [5, 323],
      [6, 324],
      [7, 325],
      [8, 326],
      [9, 327],
      [10, 328],
      [11, 329],
      [12, 330],
      [13, 331],
      [14, 332],
      [15, 333],
      [16, 339],
      [17, 346],
      [18, 348],
      [19, 354],
      [20, 359],
      [21, 363],
      [22, 367],
      [23, 379],
      [24, 385],
      [25, 423],
      [26, 438],
      [27, 453],
    ]);
  });

  test.each(names)('%s reaches its subscriber, whatever it carries', async (name) => {
    const { daemon, connection } = await connected();
    const stream = await connection.subscribe(name);
    const kind = domainEvents[name];
    const body = kind.body as Schema<Infer<typeof kind.body>>;
    for (const value of fc.sample(valuesOf(body), 10)) {
      daemon.event(kind.procedure, body, { ...value, callbackId: 1 });
      const { value: event } = await stream.next();
      expect(event?.domain).toMatchObject({ uuid: value.domain.uuid, name: value.domain.name });
    }
    await connection.close();
  });

  test('of pools and of QEMU itself reaches its subscriber', async () => {
    const { daemon, connection } = await connected();
    const pool = { name: 'images', uuid: domain.uuid };
    const changes = await connection.subscribePoolLifecycle();
    const refreshes = await connection.subscribePoolRefresh();
    const monitor = await connection.subscribeMonitor({ event: 'BLOCK_JOB_READY' });
    const change = { callbackId: 1, pool, event: 2, detail: 0 };
    daemon.event(poolEvents.lifecycle.procedure, poolEvents.lifecycle.body, change);
    daemon.event(poolEvents.refresh.procedure, poolEvents.refresh.body, { callbackId: 2, pool });
    const ready = { event: 'BLOCK_JOB_READY', seconds: 5n, microseconds: 7, details: '{"len":1}' };
    const body = { callbackId: 3, domain, ...ready };
    daemon.event(monitorEvent.procedure, monitorEvent.body, body, Program.QEMU);
    expect((await changes.next()).value).toMatchObject({ event: 'started', pool: { name: 'images' } });
    expect((await refreshes.next()).value).toMatchObject({ event: 'refreshed', pool: { name: 'images' } });
    expect((await monitor.next()).value).toMatchObject({
      event: 'BLOCK_JOB_READY',
      data: { len: 1 },
      microsecondsSinceEpoch: 5_000_007n,
    });
    await connection.close();
  });

  test('says what happened in words', async () => {
    const { daemon, connection } = await connected();
    const jobs = await connection.subscribe('blockJob2');
    const metadata = await connection.subscribe('metadataChange');
    const body = { callbackId: 1, domain, disk: 'vda', type: 2, status: 3 };
    daemon.event(blockJob2.procedure, blockJob2.body, body);
    daemon.event(metadataChange.procedure, metadataChange.body, {
      ...{ callbackId: 2, domain, type: 2, uri: 'urn:x' },
    });
    expect((await jobs.next()).value).toMatchObject({ disk: 'vda', type: 'copy', status: 'ready' });
    expect((await metadata.next()).value).toMatchObject({ type: 'element', uri: 'urn:x' });
    await connection.close();
  });

  test('with numbers of a newer libvirt still arrives, as unknown', async () => {
    const { daemon, connection } = await connected();
    const changes = await connection.subscribe('lifecycle');
    send(daemon, 1, 99, 99);
    send(daemon, 1, 5, 99);
    expect((await changes.next()).value).toMatchObject({ event: 'unknown', detail: 'unknown' });
    expect((await changes.next()).value).toMatchObject({ event: 'stopped', detail: 'unknown' });
    await connection.close();
  });
});
