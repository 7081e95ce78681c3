import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FakeDaemon } from '../../test/fake-daemon.ts';
import { CallTimeout, ConnectionClosed } from '../errors/connection.ts';
import { LibvirtError } from '../errors/libvirt-error.ts';
import { host } from '../procedures/connect.ts';
import { definition, lookup, run } from '../procedures/domain.ts';
import { qemu } from '../procedures/qemu.ts';
import { XdrError } from '../xdr/error.ts';
import { RpcConnection } from './connection.ts';
import { encodeFrame, type Frame, MessageType } from './frame.ts';

const dom = { name: 'vm', uuid: '00000000-0000-0000-0000-000000000001', id: 1 };

function connected(options: ConstructorParameters<typeof FakeDaemon>[0] = {}) {
  const daemon = new FakeDaemon(options);
  return { daemon, rpc: new RpcConnection(daemon.transport) };
}

/** The error of a promise that must fail. */
async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => expect.unreachable('it succeeded'),
    (error: unknown) => error,
  );
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

describe('replies', () => {
  test('find their call whatever their order', async () => {
    const { daemon, rpc } = connected();
    const calls: Frame[] = [];
    daemon.on(lookup.byName, (_args, call) => void calls.push(call));
    const names = ['a', 'b', 'c'].map((name) => rpc.call(lookup.byName, { name }));
    await settled();
    for (const [i, call] of [...calls.entries()].reverse()) {
      daemon.reply(call, lookup.byName, { dom: { ...dom, name: `vm${i}` } });
    }
    expect((await Promise.all(names)).map((reply) => reply.dom.name)).toEqual(['vm0', 'vm1', 'vm2']);
  });

  test('of failure become a LibvirtError that says what failed, and where it was called', async () => {
    const { daemon, rpc } = connected();
    daemon.on(lookup.byName, (_args, call) => daemon.replyError(call, 42, 'Domain not found'));
    const error = await failureOf(rpc.call(lookup.byName, { name: 'x' }));
    expect(error).toBeInstanceOf(LibvirtError);
    expect(error).toMatchObject({
      code: 42,
      codeName: 'NO_DOMAIN',
      domain: 10,
      level: 'error',
      message: 'Domain not found',
      procedure: 'DOMAIN_LOOKUP_BY_NAME',
    });
    expect((error as Error).stack).toContain('connection.test.ts');
  });

  test('of two programs with the same procedure number are told apart', async () => {
    const { daemon, rpc } = connected();
    daemon.answer(qemu.monitorCommand, { result: '{}' });
    expect(await rpc.call(qemu.monitorCommand, { dom, command: '{}', flags: 0 })).toEqual({ result: '{}' });
  });
});

describe('a call that cannot be encoded', () => {
  test('fails alone: nothing is sent, and the next call works', async () => {
    const { daemon, rpc } = connected();
    daemon.answer(host.hostname, { hostname: 'h' });
    expect(await failureOf(rpc.call(lookup.byName, { name: 'a\0b' }))).toBeInstanceOf(XdrError);
    expect(await rpc.call(host.hostname, {})).toEqual({ hostname: 'h' });
    expect(daemon.received).toHaveLength(1);
  });
});

describe('a deadline', () => {
  test('that passes fails the call, and its late reply harms nobody', async () => {
    const { daemon, rpc } = connected();
    daemon.answer(host.hostname, { hostname: 'h' });
    const error = await failureOf(rpc.call(definition.xml, { dom, flags: 0 }, { timeoutMs: 5 }));
    expect(error).toBeInstanceOf(CallTimeout);
    expect(error).toMatchObject({ procedure: 'DOMAIN_GET_XML_DESC', timeoutMs: 5, sent: true });
    const call = await daemon.called(definition.xml);
    daemon.reply(call, definition.xml, { xml: '<domain/>' });
    expect(await rpc.call(host.hostname, {})).toEqual({ hostname: 'h' });
    expect(rpc.load).toBe(0);
  });

  test('holds the place of a call that the daemon still works on', async () => {
    const { daemon, rpc } = connected();
    await failureOf(rpc.call(definition.xml, { dom, flags: 0 }, { timeoutMs: 1 }));
    expect(rpc.load).toBe(1);
    daemon.replyError(await daemon.called(definition.xml), 68, 'lock');
    await settled();
    expect(rpc.load).toBe(0);
  });

  test('that passes while the call stands in line means that it is never sent', async () => {
    const { daemon, rpc } = connected();
    const stuck = [1, 2, 3].map(() => rpc.call(definition.xml, { dom, flags: 0 }));
    const error = await failureOf(rpc.call(run.suspend, { dom }, { timeoutMs: 5 }));
    expect(error).toMatchObject({ name: 'CallTimeout', sent: false });
    for (const call of daemon.callsOf(definition.xml)) daemon.reply(call, definition.xml, { xml: '' });
    await Promise.all(stuck);
    await settled();
    expect(daemon.callsOf(run.suspend)).toEqual([]);
  });

  test('may be a signal, whose reason the call fails with', async () => {
    const { rpc } = connected();
    const stop = new AbortController();
    const call = rpc.call(definition.xml, { dom, flags: 0 }, { signal: stop.signal });
    stop.abort(new Error('enough'));
    expect(await failureOf(call)).toMatchObject({ message: 'enough' });
  });

  test('by a signal that has fired already sends nothing', async () => {
    const { daemon, rpc } = connected();
    const signal = AbortSignal.abort(new Error('before'));
    expect(await failureOf(rpc.call(host.hostname, {}, { signal }))).toMatchObject({ message: 'before' });
    await settled();
    expect(daemon.received).toEqual([]);
    expect(rpc.load).toBe(0);
  });
});

describe('a connection that is lost', () => {
  test('fails every pending call with one and the same error, with the transport’s last words', async () => {
    const { daemon, rpc } = connected({ lastWords: 'ssh: no route to host' });
    const calls = [rpc.call(host.hostname, {}), rpc.call(definition.xml, { dom, flags: 0 })];
    daemon.hangUp();
    const errors = await Promise.all(calls.map(failureOf));
    expect(errors[0]).toBeInstanceOf(ConnectionClosed);
    expect(errors[0]).toMatchObject({ why: 'lost', detail: 'ssh: no route to host' });
    expect(errors[1]).toBe(errors[0]);
    expect(await rpc.closed).toBe(errors[0]);
    expect(await failureOf(rpc.call(host.hostname, {}))).toBe(errors[0]);
  });

  test('in the middle of a frame is lost all the same', async () => {
    const { daemon, rpc } = connected();
    daemon.send(Buffer.from('000000', 'hex'));
    daemon.hangUp();
    expect(await rpc.closed).toMatchObject({ why: 'lost' });
  });

  test('reports calls that stood in line too', async () => {
    const { daemon, rpc } = connected();
    const calls = [1, 2, 3, 4, 5, 6].map(() => rpc.call(definition.xml, { dom, flags: 0 }));
    await settled();
    daemon.hangUp();
    const errors = await Promise.all(calls.map(failureOf));
    expect(new Set(errors).size).toBe(1);
  });
});

describe('a far side that breaks the protocol ends the connection', () => {
  const reply = (parts: Partial<Frame>) =>
    encodeFrame({
      program: 0x2000_8086,
      version: 1,
      procedure: host.hostname.number,
      type: MessageType.REPLY,
      serial: 1,
      status: 0,
      ...parts,
    });

  test.each([
    ['an impossible length', Buffer.from('ffffffff', 'hex')],
    ['a length shorter than a header', Buffer.from('0000000a', 'hex')],
    ['a reply that nobody asked for', reply({ serial: 99 })],
    ['a reply of another procedure', reply({ procedure: 4 })],
    ['a reply with a status that replies do not have', reply({ status: 2 })],
    ['a reply without its result', reply({})],
    ['an error without its error', reply({ status: 1 })],
    ['a call', reply({ type: MessageType.CALL })],
    ['a reply with file descriptors', reply({ type: 5 })],
    ['another version', reply({ version: 2 })],
    ['an unknown program', reply({ program: 7 })],
    ['an unknown keepalive message', reply({ program: 0x6b65_6570, procedure: 3 })],
  ])('with %s', async (_what, bytes) => {
    const { daemon, rpc } = connected();
    const call = rpc.call(host.hostname, {});
    daemon.send(bytes);
    const error = await failureOf(call);
    expect(error).toMatchObject({ name: 'ConnectionClosed', why: 'protocol' });
    expect(await rpc.closed).toBe(error);
    expect(daemon.transport.stream.destroyed).toBe(true);
  });

  test('whatever it sends, calls end with a typed error', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }), async (chunks) => {
        const { daemon, rpc } = connected();
        const call = rpc.call(host.hostname, {});
        for (const chunk of chunks) daemon.send(chunk);
        daemon.hangUp();
        expect(await failureOf(call)).toBeInstanceOf(ConnectionClosed);
      }),
      { numRuns: 60 },
    );
  });

  test('whatever payload a true header carries, calls end with a value or a typed error', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(1), fc.uint8Array({ maxLength: 80 }), async (status, payload) => {
        const { daemon, rpc } = connected();
        const call = rpc.call(lookup.listAll, { needResults: 1, flags: 0 });
        const frame = reply({ procedure: lookup.listAll.number, status });
        frame.writeUInt32BE(frame.length + payload.length, 0);
        daemon.send(Buffer.concat([frame, payload]));
        daemon.hangUp();
        await call.catch((error: unknown) => {
          expect(error instanceof ConnectionClosed || error instanceof LibvirtError).toBe(true);
        });
      }),
      { numRuns: 100 },
    );
  });
});

describe('keepalive', () => {
  test('a ping is answered, also with four calls in flight', async () => {
    const { daemon, rpc } = connected();
    const calls = [1, 2, 3].map(() => rpc.call(definition.xml, { dom, flags: 0 }).catch(() => {}));
    calls.push(
      rpc
        .call(host.hostname, {})
        .then(() => {})
        .catch(() => {}),
    );
    daemon.keepalive();
    const pong = await daemon.frame((frame) => frame.program === 0x6b65_6570);
    expect(pong).toMatchObject({ procedure: 2, type: 2, serial: 0, status: 0 });
    rpc.end();
    await Promise.all(calls);
  });

  test('a far side that falls silent is given up after the last ping went unanswered', async () => {
    const { daemon, rpc } = connected();
    rpc.startKeepalive({ intervalMs: 2, count: 3 });
    const call = rpc.call(host.hostname, {});
    const error = await failureOf(call);
    expect(error).toMatchObject({ why: 'keepalive', detail: 'no answer to 3 pings, 2 ms apart' });
    expect(daemon.received.filter((frame) => frame.program === 0x6b65_6570)).toHaveLength(3);
  });

  test('a far side that answers pings is kept', async () => {
    const { daemon, rpc } = connected();
    rpc.startKeepalive({ intervalMs: 2, count: 1 });
    let pings = 0;
    const enough = new Promise<void>((resolve) => {
      const answer = async () => {
        while (pings < 5) {
          await daemon.frame((frame) => frame.program === 0x6b65_6570);
          daemon.received.length = 0;
          pings++;
          daemon.keepalive(2);
        }
        resolve();
      };
      void answer();
    });
    await enough;
    expect(rpc.isOver).toBe(false);
    rpc.end();
  });

  test('a peer that pings and does not read cannot fill our memory', async () => {
    const { daemon, rpc } = connected();
    daemon.deaf();
    for (let i = 0; i < 60_000; i++) daemon.keepalive();
    await settled();
    expect(daemon.transport.stream.writableLength).toBeLessThan(1_200_000);
    rpc.end();
  });
});

describe('our own end', () => {
  test('fails pending calls and later ones with why: closed', async () => {
    const { rpc } = connected();
    const call = rpc.call(host.hostname, {});
    rpc.end();
    expect(await failureOf(call)).toMatchObject({ why: 'closed' });
    expect(await failureOf(rpc.call(host.hostname, {}))).toMatchObject({ why: 'closed' });
  });

  test('comes once: what happens to the socket afterwards changes nothing', async () => {
    const { daemon, rpc } = connected();
    rpc.end();
    daemon.hangUp();
    rpc.end();
    expect(await rpc.closed).toMatchObject({ why: 'closed' });
  });
});
