// A connection to a fake daemon that takes every subscription, and numbers them from 1.

import { connectOver } from '../src/api/connect.ts';
import type { Connection } from '../src/api/connection.ts';
import { domainEvents } from '../src/events/kinds.ts';
import { auth, connection as connectionProcedures } from '../src/procedures/connect.ts';
import { eventRegistration } from '../src/procedures/events.ts';
import { qemu } from '../src/procedures/qemu.ts';
import type { Infer } from '../src/xdr/schema.ts';
import { FakeDaemon } from './fake-daemon.ts';

export const domain = { name: 'vm', uuid: '00000000-0000-0000-0000-000000000001', id: 3 };
const { lifecycle } = domainEvents;
export type LifecycleBody = Infer<typeof lifecycle.body> & {
  readonly event: number;
  readonly detail: number;
};

export async function connected(): Promise<{ daemon: FakeDaemon; connection: Connection }> {
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

export function send(daemon: FakeDaemon, callbackId: number, event: number, detail = 0): void {
  const body: LifecycleBody = { callbackId, domain, event, detail };
  daemon.event(lifecycle.procedure, lifecycle.body, body);
}

export async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}
