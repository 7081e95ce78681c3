// What the domains of a connection are: state, disks, and the moves and migrations that are open on them. Read-only.
import {
  type Connection,
  type DiskDefinition,
  type Domain,
  type DomainState,
  type DomainXml,
  DomainXmlFlags,
  describeSource,
  ErrorCode,
  isLibvirtError,
} from '@blockferry/libvirt';
import type { MigrationRecord } from '../migrate/record.ts';
import { newest, recordIn } from '../migrate/store.ts';
import type { MoveRecord } from '../model/record.ts';
import { ofEveryDomain } from '../observe/every-domain.ts';
import { readDefinition } from '../observe/volumes.ts';
import { readMetadata } from '../record/metadata.ts';
import { RecordUnreadable } from '../record/serialise.ts';
import type { Context } from '../run/context.ts';

export interface DiskSummary {
  /** Target dev. */
  readonly target: string;
  readonly device: DiskDefinition['device'];
  /** The active image for people; undefined for a drive without a medium. */
  readonly source: string | undefined;
  /** As declared; undefined where libvirt would take it as raw. */
  readonly format: string | undefined;
  /** The block job that mirrors the disk now, whosever. */
  readonly mirror: { readonly job: string; readonly destination: string | undefined } | undefined;
  /** `unreadable`: there is a record, written by a version that this one does not know. */
  readonly move: MoveRecord | 'unreadable' | undefined;
}

export interface DomainSummary {
  readonly name: string;
  readonly uuid: string;
  readonly state: DomainState;
  readonly persistent: boolean;
  readonly disks: readonly DiskSummary[];
  /** The migration that is open on it, from here or to here. */
  readonly migration: MigrationRecord | 'unreadable' | undefined;
}

/** Every domain of the connection, by name. @throws what connecting and libvirt's calls throw */
export async function listDomains({ link }: Context): Promise<DomainSummary[]> {
  const connection = await link.connection();
  const summaries = await ofEveryDomain(connection, (domain) => summarise(connection, domain));
  return summaries.filter((summary) => summary !== undefined).sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function summarise(connection: Connection, domain: Domain): Promise<DomainSummary | undefined> {
  try {
    const [{ state }, active, persistent] = await Promise.all([
      domain.getState(),
      domain.isActive(),
      domain.isPersistent(),
    ]);
    const [current, config] = await Promise.all([
      domain.getXmlDesc(0),
      active && persistent ? domain.getXmlDesc(DomainXmlFlags.INACTIVE) : undefined,
    ]);
    const xml = await readDefinition(connection, current);
    const other = config === undefined ? undefined : await readDefinition(connection, config);
    const disks = xml.disks().map((disk) => summariseDisk(disk, [xml, other]));
    const migration = openMigration([xml, other]);
    return { name: xml.name, uuid: domain.uuid, state, persistent, disks, migration };
  } catch (error) {
    // Gone between the list and now.
    if (isLibvirtError(error, ErrorCode.NO_DOMAIN)) return undefined;
    throw error;
  }
}

function summariseDisk(disk: DiskDefinition, definitions: readonly (DomainXml | undefined)[]): DiskSummary {
  const { target, device, source, mirror } = disk;
  return {
    target,
    device,
    source: source && describeSource(source),
    format: disk.driver.format,
    mirror: mirror && {
      job: mirror.job,
      destination: mirror.source && describeSource(mirror.source),
    },
    move: openMove(definitions, target),
  };
}

function openMove(
  definitions: readonly (DomainXml | undefined)[],
  disk: string,
): MoveRecord | 'unreadable' | undefined {
  return ifReadable(() =>
    definitions
      .map((definition) => definition && readMetadata(definition, disk)?.record)
      .find((found) => found !== undefined),
  );
}

function openMigration(
  definitions: readonly (DomainXml | undefined)[],
): MigrationRecord | 'unreadable' | undefined {
  return ifReadable(() => newest(definitions.map(recordIn)));
}

function ifReadable<T>(read: () => T): T | 'unreadable' {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof RecordUnreadable)) throw error;
    return 'unreadable';
  }
}
