import { describe, expect, test } from 'vitest';
import { FakeDaemon } from '../../test/fake-daemon.ts';
import { block } from '../procedures/block.ts';
import { host } from '../procedures/connect.ts';
import { definition, run } from '../procedures/domain.ts';
import { migration } from '../procedures/migration.ts';
import { RpcConnection } from './connection.ts';
import { Lanes } from './lanes.ts';

const dom = { name: 'vm', uuid: '00000000-0000-0000-0000-000000000001', id: 1 };
const pivot = { dom, disk: 'vda', flags: 2 };

function laned(configure: (daemon: FakeDaemon) => void = () => {}, refuse: () => boolean = () => false) {
  const daemons: FakeDaemon[] = [];
  const open = (reserve: boolean) => {
    const daemon = new FakeDaemon();
    configure(daemon);
    daemons.push(daemon);
    return new RpcConnection(daemon.transport, { reserve });
  };
  const lanes = new Lanes(open(true), async () => {
    if (refuse()) throw new Error('no more clients');
    return open(false);
  });
  return { daemons, lanes };
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => expect.unreachable('it succeeded'),
    (error: unknown) => error,
  );
}

async function laneCount(daemons: readonly FakeDaemon[], wanted: number): Promise<void> {
  while (daemons.length < wanted) await new Promise((resolve) => setImmediate(resolve));
}

describe('slow calls', () => {
  test('keep neither cheap calls nor each other waiting', async () => {
    const { daemons, lanes } = laned((daemon) => daemon.answer(host.hostname, { hostname: 'h' }));
    const pivots = Array.from({ length: 10 }, () => lanes.call(block.jobAbort, pivot));
    await laneCount(daemons, 4);
    await Promise.all(daemons.slice(1).map((daemon) => daemon.called(block.jobAbort)));
    expect(await lanes.call(host.hostname, {})).toEqual({ hostname: 'h' });
    expect(daemons.map((daemon) => daemon.callsOf(block.jobAbort).length)).toEqual([0, 4, 4, 2]);
    for (const daemon of daemons.slice(1)) {
      for (const call of daemon.callsOf(block.jobAbort)) daemon.reply(call, block.jobAbort, {});
    }
    await Promise.all(pivots);
  });

  test('use a lane again when it has room', async () => {
    const { daemons, lanes } = laned((daemon) => daemon.answer(block.jobAbort, {}));
    for (let i = 0; i < 20; i++) await lanes.call(block.jobAbort, pivot);
    expect(daemons).toHaveLength(2);
  });

  test('share the lanes there may be, and stand in line when all are full', async () => {
    const { daemons, lanes } = laned();
    const pivots = Array.from({ length: 40 }, () => lanes.call(block.jobAbort, pivot));
    await laneCount(daemons, 9);
    await Promise.all(daemons.slice(1).map((daemon) => daemon.called(block.jobAbort)));
    for (const daemon of daemons.slice(1)) {
      daemon.answer(block.jobAbort, {});
      for (const call of daemon.callsOf(block.jobAbort)) daemon.reply(call, block.jobAbort, {});
    }
    await Promise.all(pivots);
    expect(daemons).toHaveLength(9);
  });

  test('run on the first lane when the daemon lets us have no other', async () => {
    const { daemons, lanes } = laned(
      (daemon) => daemon.answer(block.jobAbort, {}),
      () => true,
    );
    await lanes.call(block.jobAbort, pivot);
    expect(daemons[0]?.callsOf(block.jobAbort)).toHaveLength(1);
  });

  test('get a new lane when theirs was lost, and only the calls on it fail', async () => {
    const { daemons, lanes } = laned((daemon) => daemon.answer(host.hostname, { hostname: 'h' }));
    const lost = lanes.call(block.jobAbort, pivot);
    await laneCount(daemons, 2);
    await daemons[1]?.called(block.jobAbort);
    daemons[1]?.hangUp();
    expect(await failureOf(lost)).toMatchObject({ name: 'ConnectionClosed', why: 'lost' });
    expect(await lanes.call(host.hostname, {})).toEqual({ hostname: 'h' });
    const again = lanes.call(block.jobAbort, pivot);
    await laneCount(daemons, 3);
    const call = await daemons[2]?.called(block.jobAbort);
    if (call !== undefined) daemons[2]?.reply(call, block.jobAbort, {});
    await again;
  });

  test('may be given up while their lane is being opened', async () => {
    const daemon = new FakeDaemon();
    const lanes = new Lanes(new RpcConnection(daemon.transport), () => new Promise(() => {}));
    const error = await failureOf(lanes.call(block.jobAbort, pivot, { timeoutMs: 5 }));
    expect(error).toMatchObject({ name: 'CallTimeout', timeoutMs: 5, sent: false });
  });
});

describe('calls that may wait', () => {
  test('run on the first lane while it has room', async () => {
    const { daemons, lanes } = laned((daemon) => daemon.answer(definition.xml, { xml: '<domain/>' }));
    await Promise.all(Array.from({ length: 50 }, () => lanes.call(definition.xml, { dom, flags: 0 })));
    expect(daemons).toHaveLength(1);
  });

  test('stay in a line that moves, however long it is', async () => {
    const { daemons, lanes } = laned((daemon) =>
      daemon.on(definition.xml, (_args, call) => {
        setTimeout(() => daemon.reply(call, definition.xml, { xml: '' }), 30);
      }),
    );
    await Promise.all(Array.from({ length: 24 }, () => lanes.call(definition.xml, { dom, flags: 0 })));
    expect(daemons).toHaveLength(1);
  });

  test('move to a side lane when stuck ones hold the first', async () => {
    const { daemons, lanes } = laned();
    const stuck = [1, 2, 3].map(() => lanes.call(run.suspend, { dom }));
    const look = lanes.call(definition.xml, { dom, flags: 0 });
    await laneCount(daemons, 2);
    const call = await daemons[1]?.called(definition.xml);
    if (call !== undefined) daemons[1]?.reply(call, definition.xml, { xml: '<domain/>' });
    expect(await look).toEqual({ xml: '<domain/>' });
    expect(daemons[0]?.callsOf(definition.xml)).toEqual([]);
    lanes.first.end();
    await Promise.allSettled(stuck);
  });

  test('keep their deadline over the move', async () => {
    const { daemons, lanes } = laned();
    const stuck = [1, 2, 3].map(() => lanes.call(run.suspend, { dom }));
    const error = await failureOf(lanes.call(definition.xml, { dom, flags: 0 }, { timeoutMs: 200 }));
    expect(error).toMatchObject({ name: 'CallTimeout', timeoutMs: 200, sent: true });
    expect(daemons).toHaveLength(2);
    lanes.first.end();
    await Promise.allSettled(stuck);
  });

  test('stay where they are when the daemon ties state to the connection', async () => {
    const { daemons, lanes } = laned();
    const stuck = [1, 2, 3].map(() => lanes.call(run.suspend, { dom }));
    const args = { dom, params: [], flags: 0 };
    const error = await failureOf(lanes.call(migration.begin3, args, { timeoutMs: 200 }));
    expect(error).toMatchObject({ name: 'CallTimeout', sent: false });
    expect(daemons).toHaveLength(1);
    lanes.first.end();
    await Promise.allSettled(stuck);
  });
});

test('the end of the first lane is the end of all, with one error', async () => {
  const { daemons, lanes } = laned();
  const calls = [lanes.call(block.jobAbort, pivot), lanes.call(definition.xml, { dom, flags: 0 })];
  await laneCount(daemons, 2);
  await daemons[1]?.called(block.jobAbort);
  daemons[0]?.hangUp();
  const errors = await Promise.all(calls.map(failureOf));
  expect(errors[0]).toMatchObject({ name: 'ConnectionClosed', why: 'lost' });
  expect(errors[1]).toBe(errors[0]);
  expect(daemons[1]?.transport.stream.destroyed).toBe(true);
  expect(await failureOf(lanes.call(block.jobAbort, pivot))).toBe(errors[0]);
});
