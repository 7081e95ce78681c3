import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { valuesOf } from '../../test/arbitrary.ts';
import { FakeDaemon } from '../../test/fake-daemon.ts';
import { connectOver } from '../api/connect.ts';
import type { Connection } from '../api/connection.ts';
import { auth, connection as connectionProcedures } from '../procedures/connect.ts';
import { eventRegistration } from '../procedures/events.ts';
import { qemu } from '../procedures/qemu.ts';
import { Program } from '../rpc/procedure.ts';
import type { Infer, Schema } from '../xdr/schema.ts';
import { int32, struct } from '../xdr/schema.ts';
import { type DomainEventName, domainEvents, monitorEvent, poolEvents } from './kinds.ts';

const domain = { name: 'vm', uuid: '00000000-0000-0000-0000-000000000001', id: 3 };
const { lifecycle, blockJob2, metadataChange } = domainEvents;
type LifecycleBody = Infer<typeof lifecycle.body> & { readonly event: number; readonly detail: number };

async function connected(): Promise<{ daemon: FakeDaemon; connection: Connection }> {
  const daemon = new FakeDaemon()
    .answer(auth.list, { types: [0] })
    .answer(connectionProcedures.supportsFeature, { supported: false })
    .answer(connectionProcedures.open, {})
    .answer(connectionProcedures.registerCloseCallback, {})
    .answer(connectionProcedures.close, {})
    .answer(eventRegistration.domainEnd, {})
    .answer(eventRegistration.poolEnd, {});
  let callbackId = 0;
  daemon.on(eventRegistration.domain, (_args, call) =>
    daemon.reply(call, eventRegistration.domain, { callbackId: ++callbackId }),
  );
  daemon.on(eventRegistration.pool, (_args, call) =>
    daemon.reply(call, eventRegistration.pool, { callbackId: ++callbackId }),
  );
  daemon.on(qemu.monitorEventRegister, (_args, call) =>
    daemon.reply(call, qemu.monitorEventRegister, { callbackId: ++callbackId }),
  );
  const connection = await connectOver(async () => daemon.transport, { uri: 'x:///', name: 'x:///' });
  return { daemon, connection };
}

function send(daemon: FakeDaemon, callbackId: number, event: number, detail = 0): void {
  const body: LifecycleBody = { callbackId, domain, event, detail };
  daemon.event(lifecycle.procedure, lifecycle.body, body);
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

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

describe('a subscription', () => {
  test('keeps what nobody has taken yet, in order', async () => {
    const { daemon, connection } = await connected();
    const stream = await connection.subscribe('lifecycle');
    for (let i = 0; i < 1_000; i++) send(daemon, 1, i % 7);
    await settled();
    expect(stream.buffered).toBe(1_000);
    const words = ['defined', 'undefined', 'started', 'suspended', 'resumed', 'stopped', 'shutdown'];
    for (let i = 0; i < 1_000; i++) expect((await stream.next()).value?.event).toBe(words[i % 7]);
    await connection.close();
  });

  test('gets an event that overtakes the reply to the registration', async () => {
    const { daemon, connection } = await connected();
    daemon.on(eventRegistration.domain, (_args, call) => {
      send(daemon, 40, 2);
      send(daemon, 41, 5);
      daemon.reply(call, eventRegistration.domain, { callbackId: 41 });
      send(daemon, 41, 6);
    });
    const stream = await connection.subscribe('lifecycle');
    expect((await stream.next()).value?.event).toBe('stopped');
    expect((await stream.next()).value?.event).toBe('shutdown');
    expect(stream.buffered).toBe(0);
    await connection.close();
  });

  test('shares one registration with others of the same, and ends it with the last', async () => {
    const { daemon, connection } = await connected();
    const [one, two] = await Promise.all([
      connection.subscribe('lifecycle'),
      connection.subscribe('lifecycle'),
    ]);
    expect(daemon.callsOf(eventRegistration.domain)).toHaveLength(1);
    send(daemon, 1, 2);
    expect((await one.next()).value?.event).toBe('started');
    expect((await two.next()).value?.event).toBe('started');
    await one.close();
    expect(daemon.callsOf(eventRegistration.domainEnd)).toHaveLength(0);
    await two.close();
    expect(daemon.callsOf(eventRegistration.domainEnd)).toHaveLength(1);
    await connection.close();
  });

  test('made anew while the old one is being ended waits for that, and gets its own', async () => {
    const { daemon, connection } = await connected();
    const old = await connection.subscribe('lifecycle');
    let release = () => {};
    daemon.on(eventRegistration.domainEnd, (_args, call) => {
      release = () => daemon.reply(call, eventRegistration.domainEnd, {});
    });
    const closing = old.close();
    const subscribing = connection.subscribe('lifecycle');
    await settled();
    expect(daemon.callsOf(eventRegistration.domain)).toHaveLength(1);
    release();
    await closing;
    const stream = await subscribing;
    send(daemon, 2, 2);
    expect((await stream.next()).value?.event).toBe('started');
    await connection.close();
  });

  test('of one domain is apart from that of all', async () => {
    const { daemon, connection } = await connected();
    const all = await connection.subscribe('lifecycle');
    const body: LifecycleBody = { callbackId: 1, domain, event: 2, detail: 0 };
    daemon.event(lifecycle.procedure, lifecycle.body, body);
    const started = (await all.next()).value;
    if (started === undefined) expect.unreachable('the stream ended');
    const own = await connection.subscribe('lifecycle', { domain: started.domain });
    send(daemon, 2, 5);
    expect((await own.next()).value?.event).toBe('stopped');
    expect(all.buffered).toBe(0);
    await connection.close();
  });

  test('that the daemon refuses leaves no trace', async () => {
    const { daemon, connection } = await connected();
    const error = 'unsupported event ID 27';
    daemon.on(eventRegistration.domain, (_args, call) => daemon.replyError(call, 1, error));
    await expect(connection.subscribe('nicMacChange')).rejects.toThrow(error);
    daemon.answer(eventRegistration.domain, { callbackId: 9 });
    const stream = await connection.subscribe('nicMacChange');
    expect(stream.buffered).toBe(0);
    await connection.close();
  });

  test('left by break is ended on the daemon’s side too', async () => {
    const { daemon, connection } = await connected();
    const stream = await connection.subscribe('lifecycle');
    send(daemon, 1, 2);
    for await (const event of stream) {
      expect(event.event).toBe('started');
      break;
    }
    expect(daemon.callsOf(eventRegistration.domainEnd)).toHaveLength(1);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
    await connection.close();
  });

  test('closed while somebody waits for an event ends that wait', async () => {
    const { connection } = await connected();
    const stream = await connection.subscribe('lifecycle');
    const waiting = stream.next();
    await stream.close();
    expect(await waiting).toEqual({ done: true, value: undefined });
    await stream.close();
    await connection.close();
  });
});

describe('the end of the connection', () => {
  test('comes after the events that were received, and then as an error, not as an end', async () => {
    const { daemon, connection } = await connected();
    const stream = await connection.subscribe('lifecycle');
    send(daemon, 1, 2);
    send(daemon, 1, 5);
    daemon.hangUp();
    await connection.closed;
    const seen: string[] = [];
    const reading = (async () => {
      for await (const event of stream) seen.push(event.event);
    })();
    await expect(reading).rejects.toMatchObject({ name: 'ConnectionClosed', why: 'lost' });
    expect(seen).toEqual(['started', 'stopped']);
    await stream.close();
  });

  test('reaches whoever waits', async () => {
    const { daemon, connection } = await connected();
    const stream = await connection.subscribe('lifecycle');
    const waiting = [stream.next(), stream.next()];
    daemon.hangUp();
    for (const each of waiting) await expect(each).rejects.toMatchObject({ why: 'lost' });
    await expect(connection.subscribe('lifecycle')).rejects.toMatchObject({ why: 'lost' });
  });

  test('by close() is an error too: no loop takes it for “nothing more will happen”', async () => {
    const { connection } = await connected();
    const stream = await connection.subscribe('lifecycle');
    await connection.close();
    await expect(stream.next()).rejects.toMatchObject({ why: 'closed' });
  });

  test('is also when the daemon says that it lost its hypervisor', async () => {
    const { daemon, connection } = await connected();
    daemon.event(362, struct({ reason: int32() }), { reason: 1 });
    expect(await connection.closed).toMatchObject({
      why: 'lost',
      detail: 'the daemon lost its hypervisor: end of file',
    });
  });
});

describe('a far side that breaks the protocol', () => {
  test('with an event of the wrong shape ends the connection', async () => {
    const { daemon, connection } = await connected();
    await connection.subscribe('lifecycle');
    daemon.event(lifecycle.procedure, struct({ callbackId: int32() }), { callbackId: 1 });
    expect(await connection.closed).toMatchObject({ why: 'protocol' });
  });

  test('with an event that nobody asked for is left alone', async () => {
    const { daemon, connection } = await connected();
    daemon.event(9_999, struct({ callbackId: int32() }), { callbackId: 1 });
    await connection.subscribe('lifecycle');
    send(daemon, 77, 2);
    await settled();
    expect(connection.isClosed).toBe(false);
    await connection.close();
  });
});
