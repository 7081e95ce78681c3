// The journal: a small file beside the destination, the second witness of a move. It survives a domain that is
// defined anew or gone, and says which file we claimed.
import { dirname, join } from 'node:path';
import type { Host } from '@blockferry/qemu';
import type { MoveRecord } from '../model/record.ts';
import { formatRecord, parseRecord, RecordUnreadable } from './serialise.ts';

/** A file's identity on its host. */
export interface FileIdentity {
  readonly device: bigint;
  readonly inode: bigint;
}

/** A definition kept aside while its domain is transient (job mode `undefine`). */
export interface SavedDefinition {
  /** Persistent XML with secrets, as virDomainDefineXML takes it back. */
  readonly xml: string;
  readonly autostart: boolean;
}

export interface Journal {
  readonly record: MoveRecord;
  /** The destination file that we made or, with --reuse-external, were given. */
  readonly claimed?: FileIdentity;
  readonly definition?: SavedDefinition;
  /** Strategy `layered`: every file that we made, by path. */
  readonly files?: Readonly<Record<string, FileIdentity>>;
}

/** Where a journal stands. */
export interface JournalPlace {
  readonly host: Host;
  readonly path: string;
}

const SUFFIX = '.blockferry';

/** The journal's name for a destination file: `/dir/copy.qcow2` has `/dir/.copy.qcow2.blockferry`. */
export function journalPathFor(destination: string): string {
  const name = destination.slice(dirname(destination).length).replace(/^\/+/, '');
  return join(dirname(destination), `.${name}${SUFFIX}`);
}

/** The destination that a journal of this name belongs to, or undefined if it is no journal's name. */
export function destinationOfJournal(path: string): string | undefined {
  const name = path.slice(dirname(path).length).replace(/^\/+/, '');
  if (!name.startsWith('.') || !name.endsWith(SUFFIX)) return undefined;
  return join(dirname(path), name.slice(1, -SUFFIX.length));
}

/** @throws RecordUnreadable when a file of that name is no journal that this version reads. */
export async function readJournal(place: JournalPlace): Promise<Journal | undefined> {
  const text = await place.host.readFile(place.path);
  return text === null ? undefined : parseJournal(text);
}

/** Whole or not at all: temporary file, fsync, rename, fsync of the directory. May be repeated. */
export async function writeJournal(place: JournalPlace, journal: Journal): Promise<void> {
  // 0600: the definition kept aside may hold secrets.
  await place.host.writeFileAtomic(place.path, formatJournal(journal), { mode: 0o600 });
}

export async function removeJournal(place: JournalPlace): Promise<void> {
  await place.host.unlink(place.path);
}

function formatJournal({ record, claimed, definition, files }: Journal): string {
  const identities = files && mapValues(files, toText);
  const text = {
    record: formatRecord(record),
    claimed: claimed && toText(claimed),
    definition,
    files: identities,
  };
  return `${JSON.stringify({ blockferry: 1, ...text }, null, 1)}\n`;
}

export interface IdentityText {
  readonly device: string;
  readonly inode: string;
}

export function toText({ device, inode }: FileIdentity): IdentityText {
  return { device: `${device}`, inode: `${inode}` };
}

export function fromText({ device, inode }: IdentityText): FileIdentity {
  return { device: BigInt(device), inode: BigInt(inode) };
}

export function mapValues<T, U>(
  values: Readonly<Record<string, T>>,
  change: (value: T) => U,
): Record<string, U> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, change(value)]));
}

interface JournalText {
  readonly record: string;
  readonly claimed?: IdentityText;
  readonly files?: Readonly<Record<string, IdentityText>>;
  readonly definition?: SavedDefinition;
}

function parseJournal(text: string): Journal {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new RecordUnreadable('the journal is not JSON', { cause: error });
  }
  if (!isJournalText(parsed)) throw new RecordUnreadable('the journal has no record');
  const { record, claimed, definition, files } = parsed;
  return {
    record: parseRecord(record),
    ...(claimed && { claimed: fromText(claimed) }),
    ...(files && { files: mapValues(files, fromText) }),
    ...(definition && { definition }),
  };
}

function isJournalText(value: unknown): value is JournalText {
  return typeof value === 'object' && value !== null && 'record' in value && typeof value.record === 'string';
}
