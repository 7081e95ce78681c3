// What libvirt is called with when a domain crosses: its definitions as they will be there, parameters, flags.
import {
  type Connection,
  type Domain,
  DomainMigrateFlags,
  DomainXml,
  DomainXmlFlags,
  type MigrateParams,
} from '@blockferry/libvirt';
import { backingToTell } from '../storage/chain-refs.ts';
import { mustHaveNoOther } from './other-disks.ts';
import type { Pair } from './pair.ts';
import { chainAt, type MigrationRecord } from './record.ts';

/** VIR_MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES */
const SYNCHRONOUS_WRITES_SINCE = 8_000_000n;
const MiB = 1n << 20n;

/** What all calls of one migration share. */
export interface Calls {
  readonly home: Connection;
  readonly away: Connection;
  readonly domain: Domain;
  readonly flags: number;
  readonly params: MigrateParams & { readonly destination_xml: string; readonly persistent_xml: string };
}

/** @throws LibvirtError; StepImpossible when it has got another disk meanwhile */
export async function callsOf(pair: Pair, record: MigrationRecord): Promise<Calls> {
  const [home, away] = await Promise.all([pair.home.link.connection(), pair.away.link.connection()]);
  const domain = await home.lookupDomainByUuid(record.domain.uuid);
  const { SECURE, INACTIVE, MIGRATABLE } = DomainXmlFlags;
  const [live, persistent] = await Promise.all([
    domain.getXmlDesc(SECURE | MIGRATABLE),
    domain.getXmlDesc(SECURE | MIGRATABLE | INACTIVE),
  ]);
  for (const xml of [live, persistent]) mustHaveNoOther(DomainXml.parse(xml), record);
  const versions = await Promise.all([home.libVersion(), away.libVersion()]);
  const synchronous = versions.every((version) => version >= SYNCHRONOUS_WRITES_SINCE);
  const { bandwidth, migrateUri, tls } = record.options;
  const params: Calls['params'] = {
    destination_xml: overThere(live, record),
    persistent_xml: overThere(persistent, record),
    migrate_disks: record.disks.map(({ target }) => target),
    ...(migrateUri !== undefined && { migrate_uri: migrateUri }),
    ...(tls?.name !== undefined && { 'tls.destination': tls.name }),
    ...(bandwidth !== undefined && bandwidth > 0n && { bandwidth: (bandwidth + MiB - 1n) / MiB }),
  };
  return { home, away, domain, params, flags: flagsFor(record, synchronous) };
}

/** Synchronous writes, so that the overlays' mirror ends whatever the guest writes. */
function flagsFor({ options }: MigrationRecord, synchronous: boolean): number {
  const { LIVE, PERSIST_DEST, NON_SHARED_INC, CHANGE_PROTECTION, PAUSED, ABORT_ON_ERROR } =
    DomainMigrateFlags;
  const always = LIVE | PERSIST_DEST | NON_SHARED_INC | CHANGE_PROTECTION | PAUSED | ABORT_ON_ERROR;
  const { NON_SHARED_SYNCHRONOUS_WRITES, AUTO_CONVERGE, TLS } = DomainMigrateFlags;
  return (
    always |
    (synchronous ? NON_SHARED_SYNCHRONOUS_WRITES : 0) |
    (options.autoConverge ? AUTO_CONVERGE : 0) |
    (options.tls === undefined ? 0 : TLS)
  );
}

/** The definition with its disks on the overlays there; libvirt finds what is below by headers, or is told (secrets). */
function overThere(xml: string, { disks }: MigrationRecord): string {
  const definition = DomainXml.parse(xml);
  for (const disk of disks) {
    const { source, format } = disk.overlay.away;
    definition.setDiskSource(disk.target, source, format, backingToTell(chainAt(disk, 'away')));
  }
  return definition.toString();
}
