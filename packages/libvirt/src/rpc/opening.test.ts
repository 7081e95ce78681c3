import { describe, expect, test } from 'vitest';
import { FakeDaemon } from '../../test/fake-daemon.ts';
import { auth, connection } from '../procedures/connect.ts';
import { Deadline } from './deadline.ts';
import { openRpc } from './opening.ts';

function daemonThatAsksFor(types: readonly number[]): FakeDaemon {
  return new FakeDaemon()
    .answer(auth.list, { types })
    .answer(auth.polkit, { complete: true })
    .answer(connection.supportsFeature, { supported: true })
    .answer(connection.open, {});
}

function open(daemon: FakeDaemon, more: { readonly readonly?: boolean; readonly keepalive?: false } = {}) {
  return openRpc(daemon.transport, {
    name: 'qemu:///system',
    readonly: more.readonly ?? false,
    keepalive: more.keepalive === false ? null : { intervalMs: 5_000, count: 5 },
    deadline: new Deadline({ timeoutMs: 200 }, null),
  });
}

describe('opening', () => {
  test('asks for the authentication before all else', async () => {
    const daemon = daemonThatAsksFor([0]);
    const rpc = await open(daemon);
    expect(daemon.received[0]?.procedure).toBe(auth.list.number);
    expect(daemon.callsOf(auth.polkit)).toEqual([]);
    expect(daemon.callsOf(connection.open)).toHaveLength(1);
    rpc.end();
  });

  test('lets polkit decide where the daemon wants that', async () => {
    const daemon = daemonThatAsksFor([2]);
    const rpc = await open(daemon);
    expect(daemon.received.map(({ procedure }) => procedure).slice(0, 2)).toEqual([66, 70]);
    rpc.end();
  });

  test('says so when the daemon wants what we cannot give, and hangs up', async () => {
    const daemon = daemonThatAsksFor([1]);
    await expect(open(daemon)).rejects.toMatchObject({
      name: 'AuthenticationUnsupported',
      offered: ['SASL'],
    });
    expect(daemon.transport.stream.destroyed).toBe(true);
    expect(daemon.callsOf(connection.open)).toEqual([]);
  });

  test('asks for the daemon’s pings only when it wants keepalive', async () => {
    const silent = daemonThatAsksFor([0]);
    (await open(silent, { keepalive: false })).end();
    expect(silent.callsOf(connection.supportsFeature)).toEqual([]);
    const lively = daemonThatAsksFor([0]);
    (await open(lively)).end();
    expect(lively.callsOf(connection.supportsFeature)).toHaveLength(1);
  });

  test('says read-only to the daemon', async () => {
    const daemon = daemonThatAsksFor([0]);
    let flags: number | undefined;
    daemon.on(connection.open, (args, call) => {
      flags = args.flags;
      daemon.reply(call, connection.open, {});
    });
    (await open(daemon, { readonly: true })).end();
    expect(flags).toBe(1);
  });

  test('of a daemon that never answers ends with its deadline, and hangs up', async () => {
    const daemon = new FakeDaemon();
    await expect(open(daemon)).rejects.toMatchObject({ name: 'CallTimeout', procedure: 'AUTH_LIST' });
    expect(daemon.transport.stream.destroyed).toBe(true);
  });

  test('that the daemon refuses hangs up', async () => {
    const daemon = daemonThatAsksFor([0]);
    daemon.on(connection.open, (_args, call) => daemon.replyError(call, 5, 'no connection driver available'));
    await expect(open(daemon)).rejects.toMatchObject({ name: 'LibvirtError', codeName: 'NO_CONNECT' });
    expect(daemon.transport.stream.destroyed).toBe(true);
  });
});
