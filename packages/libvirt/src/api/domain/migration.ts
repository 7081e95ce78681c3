// Live migration of a domain: peer-to-peer in one call, or phase by phase (protocol version 3).

import { migration, peerToPeer } from '../../procedures/migration.ts';
import type { CallOptions } from '../../rpc/deadline.ts';
import { DomainMigrateFlags } from '../flags/domain.ts';
import { type MigrateParams, migrateParams, NO_COOKIE } from '../migrate-params.ts';
import { DomainProtection } from './protection.ts';

/** What the phases hand to each other, untouched. */
export type MigrationCookie = Uint8Array;

export class DomainMigration extends DomainProtection {
  /**
   * Migrates peer-to-peer: this domain's daemon connects to `destinationUri` (as it sees it) and drives both
   * sides. Resolves when done; progress by `jobStats` meanwhile. No default deadline; giving up the call does
   * not stop the migration, `abortJob` does.
   */
  async migratePerform3(
    destinationUri: string,
    params: MigrateParams,
    flags: number,
    options?: CallOptions,
  ): Promise<void> {
    const args = { destinationUri, params: migrateParams(params), cookie: NO_COOKIE };
    await this.ask(peerToPeer, { ...args, flags: flags | DomainMigrateFlags.PEER2PEER }, options);
  }

  /** Phase 1 of a managed migration, on the source. See `Connection.migratePrepare3` for the next. */
  async migrateBegin3(
    params: MigrateParams,
    flags: number,
    options?: CallOptions,
  ): Promise<{ readonly cookie: MigrationCookie; readonly xml: string }> {
    return await this.ask(migration.begin3, { params: migrateParams(params), flags }, options);
  }

  /** Phase 3, on the source. `uri` is what phase 2 answered. */
  async migratePerform3Phase(
    params: MigrateParams,
    cookie: MigrationCookie,
    flags: number,
    options?: CallOptions,
  ): Promise<MigrationCookie> {
    const args = { destinationUri: null, params: migrateParams(params), cookie, flags };
    return (await this.ask(migration.perform3, args, options)).cookie;
  }

  /** Phase 5, on the source: lets go of the domain, or, when `cancelled`, takes it up again. */
  async migrateConfirm3(
    params: MigrateParams,
    cookie: MigrationCookie,
    flags: number,
    cancelled: boolean,
    options?: CallOptions,
  ): Promise<void> {
    await this.ask(migration.confirm3, { params: migrateParams(params), cookie, flags, cancelled }, options);
  }

  async migrateSetMaxSpeed(mibPerSecond: bigint, options?: CallOptions): Promise<void> {
    await this.ask(migration.setMaxSpeed, { mibPerSecond, flags: 0 }, options);
  }

  async migrateGetMaxSpeed(options?: CallOptions): Promise<bigint> {
    return (await this.ask(migration.maxSpeed, { flags: 0 }, options)).mibPerSecond;
  }

  async migrateSetMaxDowntime(ms: bigint, options?: CallOptions): Promise<void> {
    await this.ask(migration.setMaxDowntime, { ms, flags: 0 }, options);
  }

  async migrateGetMaxDowntime(options?: CallOptions): Promise<bigint> {
    return (await this.ask(migration.maxDowntime, { flags: 0 }, options)).ms;
  }

  /** Switches a running migration (started with DomainMigrateFlags.POSTCOPY) to post-copy. */
  async migrateStartPostCopy(options?: CallOptions): Promise<void> {
    await this.ask(migration.startPostCopy, { flags: 0 }, options);
  }
}
