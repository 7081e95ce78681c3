import { describe, expect, test } from 'vitest';
import { connected, domain, type LifecycleBody, send, settled } from '../../test/event-daemon.ts';
import { eventRegistration } from '../procedures/events.ts';
import { int32, struct } from '../xdr/schema.ts';
import { domainEvents } from './kinds.ts';

const { lifecycle } = domainEvents;

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
