// What a connection can find, define and tell: domains, storage, the host.

import { connection as connectionProcedures, host } from '../procedures/connect.ts';
import { definition, lookup, run, stats as statsProcedures } from '../procedures/domain.ts';
import { migration } from '../procedures/migration.ts';
import { networks } from '../procedures/network.ts';
import { type ParamRecord, paramsToRecord } from '../procedures/params.ts';
import { secrets } from '../procedures/secret.ts';
import { pools, volumes } from '../procedures/storage.ts';
import type { CallOptions } from '../rpc/deadline.ts';
import type { Caller, Lanes } from '../rpc/lanes.ts';
import type { Procedure } from '../rpc/procedure.ts';
import { Domain } from './domain/domain.ts';
import type { MigrationCookie } from './domain/migration.ts';
import { type MigrateParams, migrateParams } from './migrate-params.ts';
import { StoragePool } from './storage/pool.ts';
import { StorageVolume } from './storage/volume.ts';

export interface NodeInfo {
  readonly model: string;
  readonly memoryKiB: bigint;
  readonly cpus: number;
  readonly mhz: number;
  readonly nodes: number;
  readonly sockets: number;
  readonly cores: number;
  readonly threads: number;
}

export interface DomainCapabilitiesQuery {
  readonly emulator?: string;
  readonly arch?: string;
  readonly machine?: string;
  readonly virtType?: string;
}

export class Inventory implements Caller {
  protected readonly lanes: Lanes;

  constructor(lanes: Lanes) {
    this.lanes = lanes;
  }

  /** Makes any call of the protocol, also one that this package does not declare: see `procedure()`. */
  call<A, R>(procedure: Procedure<A, R>, args: A, options?: CallOptions): Promise<R> {
    return this.lanes.call(procedure, args, options);
  }

  /** All domains, or those that `flags` (DomainListFlags) select. */
  async listAllDomains(flags = 0, options?: CallOptions): Promise<readonly Domain[]> {
    const { domains } = await this.lanes.call(lookup.listAll, { needResults: 1, flags }, options);
    return domains.map((ref) => new Domain(this.lanes, ref));
  }

  /** @throws LibvirtError NO_DOMAIN, as the other look-ups do. */
  async lookupDomainByName(name: string, options?: CallOptions): Promise<Domain> {
    return new Domain(this.lanes, (await this.lanes.call(lookup.byName, { name }, options)).dom);
  }

  async lookupDomainByUuid(uuid: string, options?: CallOptions): Promise<Domain> {
    return new Domain(this.lanes, (await this.lanes.call(lookup.byUuid, { uuid }, options)).dom);
  }

  async lookupDomainById(id: number, options?: CallOptions): Promise<Domain> {
    return new Domain(this.lanes, (await this.lanes.call(lookup.byId, { id }, options)).dom);
  }

  /** Defines a domain, or replaces the persistent definition of the one with this uuid and name. */
  async defineDomainXml(xml: string, flags = 0, options?: CallOptions): Promise<Domain> {
    return new Domain(this.lanes, (await this.lanes.call(definition.define, { xml, flags }, options)).dom);
  }

  /** Starts a transient domain; `flags` of DomainCreateFlags. */
  async createDomainXml(xml: string, flags = 0, options?: CallOptions): Promise<Domain> {
    return new Domain(this.lanes, (await this.lanes.call(run.createXml, { xml, flags }, options)).dom);
  }

  /**
   * Statistics of many domains in one call; no domains given means all. `stats` of DomainStatsTypes (0 = all),
   * `flags` of DomainStatsFlags: without NOWAIT the call waits for each busy domain in turn.
   */
  async allDomainStats(
    domains: readonly Domain[],
    stats: number,
    flags = 0,
    options?: CallOptions,
  ): Promise<readonly { readonly domain: Domain; readonly stats: ParamRecord }[]> {
    const args = { domains: domains.map((domain) => domain.ref), stats, flags };
    const { records } = await this.lanes.call(statsProcedures.allDomains, args, options);
    return records.map(({ dom, params }) => ({
      domain: new Domain(this.lanes, dom),
      stats: paramsToRecord(params),
    }));
  }

  /** Phase 2 of a managed migration, on the destination: makes it ready to receive. `uri` is where phase 3 sends. */
  async migratePrepare3(
    params: MigrateParams,
    cookie: MigrationCookie,
    flags: number,
    options?: CallOptions,
  ): Promise<{ readonly cookie: MigrationCookie; readonly uri: string | null }> {
    const args = { params: migrateParams(params), cookie, flags };
    return await this.lanes.call(migration.prepare3, args, options);
  }

  /** Phase 4, on the destination: starts the domain there, or, when `cancelled`, removes what phase 2 made. */
  async migrateFinish3(
    params: MigrateParams,
    cookie: MigrationCookie,
    flags: number,
    cancelled: boolean,
    options?: CallOptions,
  ): Promise<{ readonly domain: Domain; readonly cookie: MigrationCookie }> {
    const args = { params: migrateParams(params), cookie, flags, cancelled };
    const reply = await this.lanes.call(migration.finish3, args, options);
    return { domain: new Domain(this.lanes, reply.dom), cookie: reply.cookie };
  }

  async listAllStoragePools(flags = 0, options?: CallOptions): Promise<readonly StoragePool[]> {
    const reply = await this.lanes.call(pools.listAll, { needResults: 1, flags }, options);
    return reply.pools.map((ref) => new StoragePool(this.lanes, ref));
  }

  /** Whether a virtual network of this name is there and active. @throws LibvirtError NO_NETWORK if it is not there */
  async isNetworkActive(name: string, options?: CallOptions): Promise<boolean> {
    const { network } = await this.lanes.call(networks.byName, { name }, options);
    return (await this.lanes.call(networks.isActive, { network }, options)).active;
  }

  /**
   * The value of a secret: a passphrase, or a key.
   * @throws LibvirtError NO_SECRET; INVALID_SECRET for one that is private, which libvirt gives to nobody
   */
  async secretValue(uuid: string, options?: CallOptions): Promise<Uint8Array> {
    const { secret } = await this.lanes.call(secrets.byUuid, { uuid }, options);
    return (await this.lanes.call(secrets.value, { secret, flags: 0 }, options)).value;
  }

  /** @throws LibvirtError NO_STORAGE_POOL, as the other look-ups of pools do. */
  async lookupStoragePoolByName(name: string, options?: CallOptions): Promise<StoragePool> {
    return new StoragePool(this.lanes, (await this.lanes.call(pools.byName, { name }, options)).pool);
  }

  async lookupStoragePoolByUuid(uuid: string, options?: CallOptions): Promise<StoragePool> {
    return new StoragePool(this.lanes, (await this.lanes.call(pools.byUuid, { uuid }, options)).pool);
  }

  /** The pool whose target is this directory or device. */
  async lookupStoragePoolByTargetPath(path: string, options?: CallOptions): Promise<StoragePool> {
    return new StoragePool(this.lanes, (await this.lanes.call(pools.byTargetPath, { path }, options)).pool);
  }

  async defineStoragePoolXml(xml: string, options?: CallOptions): Promise<StoragePool> {
    return new StoragePool(
      this.lanes,
      (await this.lanes.call(pools.defineXml, { xml, flags: 0 }, options)).pool,
    );
  }

  /** Starts a transient pool; `flags` of StoragePoolCreateFlags. */
  async createStoragePoolXml(xml: string, flags = 0, options?: CallOptions): Promise<StoragePool> {
    return new StoragePool(
      this.lanes,
      (await this.lanes.call(pools.createXml, { xml, flags }, options)).pool,
    );
  }

  /** @throws LibvirtError NO_STORAGE_VOL when no pool knows the path. */
  async lookupStorageVolumeByPath(path: string, options?: CallOptions): Promise<StorageVolume> {
    return new StorageVolume(this.lanes, (await this.lanes.call(volumes.byPath, { path }, options)).volume);
  }

  async lookupStorageVolumeByKey(key: string, options?: CallOptions): Promise<StorageVolume> {
    return new StorageVolume(this.lanes, (await this.lanes.call(volumes.byKey, { key }, options)).volume);
  }

  /** The host's name as the daemon finds it, which may take the daemon a look-up in the DNS. */
  async hostname(options?: CallOptions): Promise<string> {
    return (await this.lanes.call(host.hostname, {}, options)).hostname;
  }

  /** The URI as the daemon sees itself: "qemu:///system". */
  async uriOnServer(options?: CallOptions): Promise<string> {
    return (await this.lanes.call(host.uri, {}, options)).uri;
  }

  /** The hypervisor driver: "QEMU", "Test". */
  async type(options?: CallOptions): Promise<string> {
    return (await this.lanes.call(host.type, {}, options)).type;
  }

  /** The hypervisor's version: major * 1 000 000 + minor * 1 000 + release. */
  async version(options?: CallOptions): Promise<bigint> {
    return (await this.lanes.call(host.version, {}, options)).version;
  }

  /** The daemon's libvirt version, counted likewise. */
  async libVersion(options?: CallOptions): Promise<bigint> {
    return (await this.lanes.call(host.libVersion, {}, options)).version;
  }

  async capabilities(options?: CallOptions): Promise<string> {
    return (await this.lanes.call(host.capabilities, {}, options)).xml;
  }

  async domainCapabilities(query: DomainCapabilitiesQuery = {}, options?: CallOptions): Promise<string> {
    const { emulator = null, arch = null, machine = null, virtType = null } = query;
    const args = { emulator, arch, machine, virtType, flags: 0 };
    return (await this.lanes.call(host.domainCapabilities, args, options)).xml;
  }

  /**
   * The command line by which QEMU would be started for a definition (`qemu-argv`). Nothing is defined or started: it is
   * how libvirt says beforehand what it has against one.
   */
  async domainXmlToNative(xml: string, format = 'qemu-argv', options?: CallOptions): Promise<string> {
    return (await this.lanes.call(host.domainXmlToNative, { format, xml, flags: 0 }, options)).config;
  }

  async nodeInfo(options?: CallOptions): Promise<NodeInfo> {
    return await this.lanes.call(host.nodeInfo, {}, options);
  }

  /** The host's free memory in bytes. */
  async freeMemory(options?: CallOptions): Promise<bigint> {
    return (await this.lanes.call(host.freeMemory, {}, options)).bytes;
  }

  /** Whether nobody on the way to the daemon can listen: a local socket, or an encrypted one. */
  async isSecure(options?: CallOptions): Promise<boolean> {
    return (await this.lanes.call(host.isSecure, {}, options)).secure;
  }

  /** Whether the far side's driver has a feature (DriverFeature). Unknown numbers are answered with false. */
  async supportsFeature(feature: number, options?: CallOptions): Promise<boolean> {
    return (await this.lanes.call(connectionProcedures.supportsFeature, { feature }, options)).supported;
  }
}
