// Every domain event: its number, the message that carries it, that message's body, and what we make of it.

import { paramsToRecord } from '../procedures/params.ts';
import { domainRef, poolRef, typedParams } from '../procedures/types.ts';
import type { XdrReader } from '../xdr/reader.ts';
import {
  array,
  hyper,
  type Infer,
  int32,
  optional,
  type Schema,
  string,
  struct,
  uhyper,
  uint32,
} from '../xdr/schema.ts';
import * as names from './names.ts';
import { word } from './names.ts';

type Fields = Readonly<Record<string, { read(reader: XdrReader): unknown }>>;
type Value<F> = { readonly [K in keyof F]: Infer<F[K]> };
type Addressed = { readonly callbackId: number; readonly domain: Infer<typeof domainRef> };

export interface EventKind<P> {
  /** virDomainEventID. */
  readonly id: number;
  /** The procedure number of the message. */
  readonly procedure: number;
  readonly body: Schema<Addressed>;
  /** The payload without the domain. */
  readonly payload: (body: Addressed) => P;
}

function kind<const F extends Fields, P>(
  id: number,
  procedure: number,
  fields: F,
  payload: (body: Value<F>) => P,
): EventKind<P> {
  const body = struct({ callbackId: int32(), domain: domainRef, ...fields });
  // `payload` is only ever given what `body` read.
  return {
    id,
    procedure,
    body: body as unknown as Schema<Addressed>,
    payload: payload as EventKind<P>['payload'],
  };
}

/** The power management events have their reason before the domain. */
function powerKind(id: number, procedure: number): EventKind<{ readonly reason: number }> {
  const body = struct({ callbackId: int32(), reason: int32(), domain: domainRef });
  const payload = (b: Infer<typeof body>) => ({ reason: b.reason });
  return { id, procedure, body, payload: payload as EventKind<{ readonly reason: number }>['payload'] };
}

const graphicsAddress = struct({ family: int32(), node: string(), service: string() });
const graphicsIdentity = struct({ type: string(), name: string() });
type GraphicsAddress = Infer<typeof graphicsAddress>;

function address(of: GraphicsAddress) {
  return { family: word(names.GRAPHICS_FAMILIES, of.family), node: of.node, service: of.service };
}

function blockJob(body: { readonly type: number; readonly status: number }) {
  return {
    type: word(names.BLOCK_JOB_TYPES, body.type),
    status: word(names.BLOCK_JOB_STATUSES, body.status),
  };
}

const device = { alias: string() };
const ioError = { sourcePath: string(), alias: string(), action: int32() };

export const domainEvents = {
  lifecycle: kind(0, 318, { event: int32(), detail: int32() }, (b) =>
    names.lifecycleChange(b.event, b.detail),
  ),
  reboot: kind(1, 319, {}, () => ({})),
  rtcChange: kind(2, 320, { offsetSeconds: hyper() }, ({ offsetSeconds }) => ({ offsetSeconds })),
  watchdog: kind(3, 321, { action: int32() }, (b) => ({ action: word(names.WATCHDOG_ACTIONS, b.action) })),
  /**
   * libvirt 9.0 cannot encode this event and ioErrorReason for a disk whose source has no path (an NBD export
   * without a name): each error then keeps its main loop busy for long, and with several the daemon answers
   * nobody, pings included. Subscribe to neither for such a disk; lifecycle `suspended ioError` still comes.
   */
  ioError: kind(4, 322, ioError, ({ sourcePath, alias, action }) => ({
    sourcePath,
    alias,
    action: word(names.IO_ERROR_ACTIONS, action),
  })),
  graphics: kind(
    5,
    323,
    {
      phase: int32(),
      local: graphicsAddress,
      remote: graphicsAddress,
      authScheme: string(),
      subject: array(graphicsIdentity, 20),
    },
    (b) => ({
      phase: word(names.GRAPHICS_PHASES, b.phase),
      local: address(b.local),
      remote: address(b.remote),
      authScheme: b.authScheme,
      subject: b.subject,
    }),
  ),
  /** `reason` is "enospc" for a full disk, else mostly empty. */
  ioErrorReason: kind(6, 324, { ...ioError, reason: string() }, ({ sourcePath, alias, action, reason }) => ({
    sourcePath,
    alias,
    action: word(names.IO_ERROR_ACTIONS, action),
    reason,
  })),
  controlError: kind(7, 325, {}, () => ({})),
  /** Names the disk by its source path, which is the new image after a pivot: prefer blockJob2. */
  blockJob: kind(8, 326, { path: string(), type: int32(), status: int32() }, (b) => ({
    path: b.path,
    ...blockJob(b),
  })),
  diskChange: kind(
    9,
    327,
    {
      oldSourcePath: optional(string()),
      newSourcePath: optional(string()),
      alias: string(),
      reason: int32(),
    },
    ({ oldSourcePath, newSourcePath, alias, reason }) => ({
      oldSourcePath,
      newSourcePath,
      alias,
      reason: word(names.DISK_CHANGE_REASONS, reason),
    }),
  ),
  trayChange: kind(10, 328, { ...device, reason: int32() }, ({ alias, reason }) => ({
    alias,
    reason: word(names.TRAY_CHANGE_REASONS, reason),
  })),
  pmWakeup: powerKind(11, 329),
  pmSuspend: powerKind(12, 330),
  balloonChange: kind(13, 331, { actualKiB: uhyper() }, ({ actualKiB }) => ({ actualKiB })),
  pmSuspendDisk: powerKind(14, 332),
  deviceRemoved: kind(15, 333, device, ({ alias }) => ({ alias })),
  /** Names the disk by its target dev. A domain that goes down during a job raises none. */
  blockJob2: kind(16, 339, { disk: string(), type: int32(), status: int32() }, (b) => ({
    disk: b.disk,
    ...blockJob(b),
  })),
  tunable: kind(17, 346, { params: typedParams(2_048) }, ({ params }) => ({
    params: paramsToRecord(params),
  })),
  agentLifecycle: kind(18, 348, { state: int32(), reason: int32() }, ({ state, reason }) => ({
    state: word(names.AGENT_STATES, state),
    reason: word(names.AGENT_REASONS, reason),
  })),
  deviceAdded: kind(19, 354, device, ({ alias }) => ({ alias })),
  migrationIteration: kind(20, 359, { iteration: int32() }, ({ iteration }) => ({ iteration })),
  /** Migration, save, backup: operation, success, errmsg, disk_*, memory_*. */
  jobCompleted: kind(21, 363, { params: typedParams(64) }, ({ params }) => ({
    params: paramsToRecord(params),
  })),
  deviceRemovalFailed: kind(22, 367, device, ({ alias }) => ({ alias })),
  /** May come just before or just after the reply to the call that changed the metadata. */
  metadataChange: kind(23, 379, { type: int32(), uri: optional(string()) }, ({ type, uri }) => ({
    type: word(names.METADATA_TYPES, type),
    uri,
  })),
  /** Comes twice for one crossing, as "vda" and as "vda[N]"; one-shot, so arm it again. */
  blockThreshold: kind(
    24,
    385,
    { dev: string(), path: optional(string()), threshold: uhyper(), excess: uhyper() },
    ({ dev, path, threshold, excess }) => ({ dev, path, threshold, excess }),
  ),
  memoryFailure: kind(25, 423, { recipient: int32(), action: int32(), flags: uint32() }, (b) => ({
    recipient: word(names.MEMORY_FAILURE_RECIPIENTS, b.recipient),
    action: word(names.MEMORY_FAILURE_ACTIONS, b.action),
    flags: b.flags,
  })),
  memoryDeviceSizeChange: kind(26, 438, { ...device, sizeKiB: uhyper() }, ({ alias, sizeKiB }) => ({
    alias,
    sizeKiB,
  })),
  /** libvirt 11.2 and newer. */
  nicMacChange: kind(
    27,
    453,
    { ...device, oldMac: string(), newMac: string() },
    ({ alias, oldMac, newMac }) => ({ alias, oldMac, newMac }),
  ),
} as const;

export type DomainEventName = keyof typeof domainEvents;
export type DomainEventPayload<E extends DomainEventName> = ReturnType<(typeof domainEvents)[E]['payload']>;

/** Events of storage pools: numbers of virStoragePoolEventID. */
export const poolEvents = {
  lifecycle: {
    id: 0,
    procedure: 370,
    body: struct({ callbackId: int32(), pool: poolRef, event: int32(), detail: int32() }),
  },
  refresh: { id: 1, procedure: 373, body: struct({ callbackId: int32(), pool: poolRef }) },
} as const;

/** QEMU_DOMAIN_MONITOR_EVENT of the qemu program: QEMU's own events, past libvirt. */
export const monitorEvent = {
  procedure: 6,
  body: struct({
    callbackId: int32(),
    domain: domainRef,
    event: string(),
    seconds: hyper(),
    microseconds: uint32(),
    details: optional(string()),
  }),
} as const;
