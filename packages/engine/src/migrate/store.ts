// The places of a migration's record: the domain's <metadata> on either host, and the journal beside the copies.
import { type Domain, DomainAffectFlags, type DomainXml } from '@blockferry/libvirt';
import type { Definitions } from '../observe/definitions.ts';
import { escapeText, removeElement, setElement, textOfElement } from '../record/element.ts';
import {
  destinationOfJournal,
  type FileIdentity,
  fromText,
  type IdentityText,
  journalPathFor,
  mapValues,
  toText,
} from '../record/journal.ts';
import { formatWithBigints, parseWithBigints, RecordUnreadable } from '../record/serialise.ts';
import type { Pair } from './pair.ts';
import { type MigrationRecord, pathOf } from './record.ts';

const NAMESPACE = 'urn:blockferry:migration:1';

/** @throws RecordUnreadable when there is an element of ours that this version cannot read */
export function recordIn(definition: DomainXml | undefined): MigrationRecord | undefined {
  const text = definition?.metadataElement(NAMESPACE);
  return text === undefined ? undefined : parse(textOfElement(text));
}

/** To every definition that there is. libvirt keeps both on disk before it answers. May be repeated. */
export async function writeMetadata(
  domain: Domain,
  record: MigrationRecord,
  { running, persistent }: Pick<Definitions, 'running' | 'persistent'>,
): Promise<void> {
  const content = `<migration>${escapeText(formatWithBigints(record))}</migration>`;
  await setElement(domain, NAMESPACE, content, places(running, persistent));
}

export async function removeMetadata(
  domain: Domain,
  { running, persistent }: Pick<Definitions, 'running' | 'persistent'>,
): Promise<void> {
  if (running) await removeElement(domain, NAMESPACE, DomainAffectFlags.LIVE);
  if (persistent) await removeElement(domain, NAMESPACE, DomainAffectFlags.CONFIG);
}

function places(live: boolean, config: boolean): number {
  return (live ? DomainAffectFlags.LIVE : 0) | (config ? DomainAffectFlags.CONFIG : 0);
}

export interface MigrationJournal {
  readonly record: MigrationRecord;
  /** Every copy, and every state beside the disks, that we made at the destination, by path. */
  readonly files: Readonly<Record<string, FileIdentity>>;
  /** Of each state at home when it was brought, by path (see state.ts). */
  readonly sums?: Readonly<Record<string, string>>;
}

interface JournalText {
  readonly record: string;
  readonly files: Readonly<Record<string, IdentityText>>;
  readonly sums?: Readonly<Record<string, string>>;
}

const SUFFIX = '-migration';

/** Beside the copy of the first disk's active image. On the destination's host. */
export function journalPath({ disks }: Pick<MigrationRecord, 'disks'>): string {
  return `${journalPathFor(pathOf(disks[0].layers[0].to))}${SUFFIX}`;
}

/** The journal that stands beside a copy; undefined for what has the name of a journal itself. */
export function migrationJournalFor(path: string): string | undefined {
  const isJournal =
    path.endsWith(SUFFIX) && destinationOfJournal(path.slice(0, -SUFFIX.length)) !== undefined;
  return isJournal ? undefined : `${journalPathFor(path)}${SUFFIX}`;
}

/**
 * Whoever aborts makes this file, and writes to no record: that may just be changed by the one who conducts the migration,
 * and from `arriving` on it must not come back from before.
 */
export function wishPath(record: Pick<MigrationRecord, 'disks'>): string {
  return `${journalPath(record)}.abort`;
}

/** @throws RecordUnreadable, HostError, FileError */
export async function readJournal(
  { away }: Pick<Pair, 'away'>,
  path: string,
): Promise<MigrationJournal | undefined> {
  const text = await away.host.readFile(path);
  if (text === null) return undefined;
  const { record, files, sums } = attempt(() => JSON.parse(text) as JournalText);
  return {
    record: parse(record),
    files: mapValues(files, fromText),
    ...(sums !== undefined && { sums }),
  };
}

/** Whole or not at all, on stable storage. May be repeated. */
export async function writeJournal(
  { away }: Pick<Pair, 'away'>,
  { record, files, sums }: MigrationJournal,
): Promise<void> {
  const content: JournalText = {
    record: formatWithBigints(record),
    files: mapValues(files, toText),
    ...(sums !== undefined && { sums }),
  };
  const text = { blockferry: 1, ...content };
  await away.host.writeFileAtomic(journalPath(record), `${JSON.stringify(text, null, 1)}\n`, { mode: 0o600 });
}

function parse(text: string): MigrationRecord {
  const parsed = parseWithBigints(text);
  if (!isRecord(parsed)) throw new RecordUnreadable('fields are missing or of another version');
  return parsed;
}

function attempt<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new RecordUnreadable('it is not JSON', { cause: error });
  }
}

const FIELDS = [
  'id',
  'domain',
  'mode',
  'home',
  'away',
  'disks',
  'states',
  'options',
  'phase',
  'goal',
  'revision',
];

function isRecord(value: unknown): value is MigrationRecord {
  if (typeof value !== 'object' || value === null) return false;
  if (!('version' in value) || value.version !== 1) return false;
  return FIELDS.every((field) => field in value);
}

/** The record that was written last. */
export function newest(found: readonly (MigrationRecord | undefined)[]): MigrationRecord | undefined {
  const records = found.filter((record) => record !== undefined);
  return records.toSorted((one, other) => other.revision - one.revision)[0];
}
