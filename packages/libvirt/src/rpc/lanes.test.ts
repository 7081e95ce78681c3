import { describe, expect, test } from 'vitest';
import { FakeDaemon } from '../../test/fake-daemon.ts';
import { block } from '../procedures/block.ts';
import { host } from '../procedures/connect.ts';
import { definition, run } from '../procedures/domain.ts';
import { migration } from '../procedures/migration.ts';
import { RpcConnection } from './connection.ts';
import type { Frame } from './frame.ts';
import { JobLocks } from './job-locks.ts';
import { Lanes } from './lanes.ts';

const dom = { name: 'vm', uuid: '00000000-0000-0000-0000-000000000001', id: 1 };
const stuckDomains = [2, 3, 4].map((n) => ({ ...dom, uuid: `00000000-0000-0000-0000-00000000000${n}` }));
const pivot = { dom, disk: 'vda', flags: 2 };
/** Each of another domain, so that no job lock keeps them apart. */
const pivots = Array.from({ length: 20 }, (_, n) => ({
  ...pivot,
  dom: { ...dom, uuid: `00000000-0000-0000-0001-0000000000${10 + n}` },
}));

function laned(configure: (daemon: FakeDaemon) => void = () => {}, refuse: () => boolean = () => false) {
  const daemons: FakeDaemon[] = [];
  const jobLocks = new JobLocks();
  const open = (reserve: boolean) => {
    const daemon = new FakeDaemon().answer(host.cpuMap, { map: Buffer.alloc(0), online: 0, cpus: 1 });
    configure(daemon);
    daemons.push(daemon);
    return new RpcConnection(daemon.transport, { reserve, jobLocks });
  };
  const lanes = new Lanes(open(true), async () => {
    if (refuse()) throw new Error('no more clients');
    return open(false);
  });
  return { daemons, lanes };
}

function callsOfAll(daemons: readonly FakeDaemon[]): number {
  return daemons.reduce((sum, daemon) => sum + daemon.callsOf(block.jobAbort).length, 0);
}

/** Answers what came, and what comes from now on. */
function answerAll(daemons: readonly FakeDaemon[]): void {
  for (const daemon of daemons) {
    daemon.answer(block.jobAbort, {});
    for (const call of daemon.callsOf(block.jobAbort)) daemon.reply(call, block.jobAbort, {});
  }
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
  test('keep neither cheap calls, nor calls that look, nor each other waiting', async () => {
    const { daemons, lanes } = laned((daemon) =>
      daemon.answer(host.type, { type: 'QEMU' }).answer(definition.xml, { xml: '<domain/>' }),
    );
    const slow = pivots.slice(0, 8).map((args) => lanes.call(block.jobAbort, args));
    while (callsOfAll(daemons) < 8) await new Promise((resolve) => setImmediate(resolve));
    expect(daemons.map((daemon) => daemon.callsOf(block.jobAbort).length)).toEqual([0, 4, 4]);
    expect(await lanes.call(host.type, {})).toEqual({ type: 'QEMU' });
    expect(await lanes.call(definition.xml, { dom, flags: 0 })).toEqual({ xml: '<domain/>' });
    answerAll(daemons);
    await Promise.all(slow);
  });

  test('use a lane again when it has room', async () => {
    const { daemons, lanes } = laned((daemon) => daemon.answer(block.jobAbort, {}));
    for (let i = 0; i < 20; i++) await lanes.call(block.jobAbort, pivot);
    expect(daemons).toHaveLength(2);
  });

  test('share the lanes there may be, and stand in line when all are full', async () => {
    const { daemons, lanes } = laned();
    const slow = pivots.map((args) => lanes.call(block.jobAbort, args));
    while (callsOfAll(daemons) < 8) await new Promise((resolve) => setImmediate(resolve));
    expect(daemons).toHaveLength(3);
    answerAll(daemons);
    await Promise.all(slow);
    expect(daemons).toHaveLength(3);
  });

  test('wait here while the daemon has no worker to spare', async () => {
    const questions: Frame[] = [];
    const { daemons, lanes } = laned((daemon) =>
      daemon.on(host.cpuMap, (_args, call) => void questions.push(call)),
    );
    const slow = pivots.slice(0, 6).map((args) => lanes.call(block.jobAbort, args));
    while (questions.length < 1) await new Promise((resolve) => setImmediate(resolve));
    expect(callsOfAll(daemons)).toBe(4);
    const [question] = questions;
    if (question !== undefined) daemons[2]?.replyError(question, 3, 'this driver has no such call');
    while (callsOfAll(daemons) < 5) await new Promise((resolve) => setImmediate(resolve));
    lanes.first.end();
    await Promise.allSettled(slow);
    expect(callsOfAll(daemons)).toBe(5);
  });

  test('of one domain wait for each other here, not in the daemon, where they would take its workers', async () => {
    const { daemons, lanes } = laned();
    const slow = [1, 2, 3].map(() => lanes.call(block.jobAbort, pivot, { timeoutMs: 200 }));
    const outcomes = await Promise.allSettled(slow);
    expect(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason.sent)).toEqual([
      ...[true, true, false],
    ]);
    expect(callsOfAll(daemons)).toBe(2);
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

  test('move to a side lane when stuck ones hold the first, those that look to one of their own', async () => {
    const { daemons, lanes } = laned();
    const stuck = stuckDomains.map((each) => lanes.call(run.suspend, { dom: each }));
    const looks = [1, 2].map(() => lanes.call(definition.xml, { dom, flags: 0 }));
    await laneCount(daemons, 3);
    const [first, second, third] = daemons;
    expect(first?.callsOf(run.suspend)).toHaveLength(2);
    expect(first?.callsOf(definition.xml)).toHaveLength(1);
    const [suspend, look] = await Promise.all([second?.called(run.suspend), third?.called(definition.xml)]);
    expect([suspend?.type, look?.type]).toEqual([0, 0]);
    lanes.first.end();
    await Promise.allSettled([...stuck, ...looks]);
  });

  test('on one domain stand in line for it, wherever there is room: its job lock serves one at a time', async () => {
    const { daemons, lanes } = laned();
    const stuck = [1, 2, 3, 4].map(() => lanes.call(run.suspend, { dom }, { timeoutMs: 300 }));
    const outcomes = await Promise.allSettled(stuck);
    expect(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason.sent)).toEqual([
      ...[true, true, false, false],
    ]);
    expect(daemons).toHaveLength(1);
  });

  test('keep their deadline over the move', async () => {
    const { daemons, lanes } = laned();
    const stuck = stuckDomains.map((each) => lanes.call(run.suspend, { dom: each }, { timeoutMs: 1_000 }));
    const errors = await Promise.all(stuck.map(failureOf));
    for (const error of errors)
      expect(error).toMatchObject({ name: 'CallTimeout', timeoutMs: 1_000, sent: true });
    expect(daemons).toHaveLength(2);
  });

  test('stay where they are when the daemon ties state to the connection', async () => {
    const { daemons, lanes } = laned();
    const args = { dom, params: [], flags: 0 };
    const begun = [1, 2, 3, 4].map(() => lanes.call(migration.begin3, args, { timeoutMs: 300 }));
    const outcomes = await Promise.allSettled(begun);
    expect(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason.sent)).toEqual([
      ...[true, true, true, false],
    ]);
    expect(daemons).toHaveLength(1);
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
