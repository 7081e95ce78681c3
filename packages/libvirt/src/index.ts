// Public surface of this package.

export { DomainCheckpoint } from './api/checkpoint.ts';

export { type ConnectOptions, connect, connectOver, type OpenTransport } from './api/connect.ts';
export { Connection } from './api/connection.ts';
export type { BlockCopyParams, BlockJobInfo, DiskError } from './api/domain/block.ts';
export { Domain } from './api/domain/domain.ts';
export type { JobType } from './api/domain/guest.ts';
export type { MigrationCookie } from './api/domain/migration.ts';
export { type ControlInfo, DomainPausedReason, type DomainState } from './api/domain/running.ts';
export type { DomainEvent, MonitorEvent, PoolEvent } from './api/event-sources.ts';
export * from './api/flags/block.ts';
export * from './api/flags/domain.ts';
export type { DomainCapabilitiesQuery, NodeInfo } from './api/inventory.ts';
export type { MigrateParams } from './api/migrate-params.ts';
export { MonitorError } from './api/monitor.ts';
export { DomainSnapshot } from './api/snapshot.ts';
export { StoragePool, type StoragePoolInfo } from './api/storage/pool.ts';
export { StorageVolume, type StorageVolumeInfo, type VolumeRange } from './api/storage/volume.ts';
export * from './domain-xml/index.ts';
export { ErrorCode, type ErrorCodeName } from './errors/codes.ts';
export { CallTimeout, type ClosedWhy, ConnectionClosed } from './errors/connection.ts';
export { isLibvirtError, LibvirtError } from './errors/libvirt-error.ts';
export type { DomainEventName, DomainEventName as EventName, DomainEventPayload } from './events/kinds.ts';
export type { BlockJobType, LifecycleChange } from './events/names.ts';
export { EventStream } from './events/stream.ts';
export type { ParamRecord, ParamValue } from './procedures/params.ts';
export type { CallOptions } from './rpc/deadline.ts';
export type { KeepaliveOptions } from './rpc/keepalive.ts';
export { AuthenticationUnsupported } from './rpc/opening.ts';
export { type Pace, type Procedure, Program, procedure } from './rpc/procedure.ts';
export { TransportFailed } from './transport/failed.ts';
export type { Transport, TransportEnd } from './transport/transport.ts';
export * from './uri/index.ts';
export { XdrError } from './xdr/error.ts';
export * as xdr from './xdr/index.ts';
