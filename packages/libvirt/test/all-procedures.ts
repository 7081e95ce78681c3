// Every declared procedure and event body, for tests that hold for all of them.

import { domainEvents, monitorEvent, poolEvents } from '../src/events/kinds.ts';
import * as block from '../src/procedures/block.ts';
import * as connect from '../src/procedures/connect.ts';
import * as domain from '../src/procedures/domain.ts';
import * as events from '../src/procedures/events.ts';
import * as migration from '../src/procedures/migration.ts';
import * as network from '../src/procedures/network.ts';
import * as qemu from '../src/procedures/qemu.ts';
import * as secret from '../src/procedures/secret.ts';
import * as snapshot from '../src/procedures/snapshot.ts';
import * as storage from '../src/procedures/storage.ts';
import type { Procedure } from '../src/rpc/procedure.ts';
import { wireError } from '../src/rpc/wire-error.ts';
import type { Schema } from '../src/xdr/schema.ts';

type AnyProcedure = Procedure<unknown, unknown>;

function isProcedure(value: unknown): value is AnyProcedure {
  return typeof value === 'object' && value !== null && 'args' in value && 'result' in value;
}

const modules: readonly object[] = [
  block,
  connect,
  domain,
  events,
  migration,
  network,
  qemu,
  secret,
  snapshot,
  storage,
];

/** In the order of the tables; `peerToPeer` is the same procedure as `perform3` and left out. */
export const allProcedures: readonly AnyProcedure[] = modules
  .flatMap((module) => Object.values(module))
  .flatMap((table: unknown) => (isProcedure(table) ? [] : Object.values(Object(table))))
  .filter(isProcedure);

/** Name and schema of everything that crosses the wire. */
export const allSchemas: readonly (readonly [name: string, schema: Schema<unknown>])[] = [
  ...allProcedures.flatMap((p) => [
    [`${p.name} arguments`, p.args] as const,
    [`${p.name} result`, p.result] as const,
  ]),
  ...Object.entries(domainEvents).map(
    ([name, kind]) => [`event ${name}`, kind.body as Schema<unknown>] as const,
  ),
  ['pool event lifecycle', poolEvents.lifecycle.body as Schema<unknown>],
  ['pool event refresh', poolEvents.refresh.body as Schema<unknown>],
  ['monitor event', monitorEvent.body as Schema<unknown>],
  ['error', wireError as Schema<unknown>],
];
