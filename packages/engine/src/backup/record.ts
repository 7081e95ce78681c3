// The record of a backup under way: in the domain's metadata, where any blockferry finds it, and in a journal beside the
// points, which outlives the domain. Both are on disk before the step that they speak of.
import { DomainAffectFlags, type DomainXml } from '@blockferry/libvirt';
import type { Host } from '@blockferry/qemu';
import type { Definitions } from '../observe/definitions.ts';
import { escapeText, removeElement, setElement, textOfElement } from '../record/element.ts';
import { formatWithBigints, parseWithBigints, RecordUnreadable } from '../record/serialise.ts';
import { backupJournalPath } from './layout.ts';
import type { BackupRecord } from './model.ts';

const NAMESPACE = 'urn:blockferry:backup:1';

/** Writes it everywhere. May be repeated. @throws LibvirtError, FileError, HostError */
export async function writeBackupRecord(
  host: Host,
  definitions: Definitions | undefined,
  record: BackupRecord,
): Promise<void> {
  const text = formatWithBigints(record);
  await host.writeFileAtomic(backupJournalPath(record.directory), `${text}\n`, { mode: 0o600 });
  if (definitions === undefined) return;
  const element = `<backup>${escapeText(text)}</backup>`;
  for (const flags of placesOf(definitions)) {
    await setElement(definitions.domain, NAMESPACE, element, flags);
  }
}

/** The last step of a backup: from the domain first, for the journal leads here again. May be repeated. */
export async function removeBackupRecord(
  host: Host,
  definitions: Definitions | undefined,
  { directory, id }: BackupRecord,
  where: 'everywhere' | 'metadata' = 'everywhere',
): Promise<void> {
  if (definitions !== undefined && openBackupOf(definitions)?.id === id) {
    for (const flags of placesOf(definitions)) await removeElement(definitions.domain, NAMESPACE, flags);
  }
  if (where === 'everywhere') await host.unlink(backupJournalPath(directory));
}

function placesOf({ running, persistent }: Definitions): number[] {
  return [...(running ? [DomainAffectFlags.LIVE] : []), ...(persistent ? [DomainAffectFlags.CONFIG] : [])];
}

/** The record that was written last into either definition. @throws RecordUnreadable */
export function openBackupOf({
  live,
  config,
}: Pick<Definitions, 'live' | 'config'>): BackupRecord | undefined {
  return newer(live && recordIn(live), config && recordIn(config));
}

/** @throws RecordUnreadable */
export async function readBackupJournal(host: Host, directory: string): Promise<BackupRecord | undefined> {
  const text = await host.readFile(backupJournalPath(directory));
  return text === null ? undefined : parse(text);
}

/** Of two of one backup the one written last. Two of different backups: the first, which is the domain's. */
export function newer(
  one: BackupRecord | undefined,
  other: BackupRecord | undefined,
): BackupRecord | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one.id === other.id && other.revision > one.revision ? other : one;
}

function recordIn(definition: DomainXml): BackupRecord | undefined {
  const text = definition.metadataElement(NAMESPACE);
  return text === undefined ? undefined : parse(textOfElement(text));
}

const FIELDS = ['id', 'domain', 'directory', 'point', 'kind', 'disks', 'phase', 'goal', 'revision'];

function parse(text: string): BackupRecord {
  const parsed = parseWithBigints(text);
  const isRecord =
    typeof parsed === 'object' &&
    parsed !== null &&
    'version' in parsed &&
    parsed.version === 1 &&
    FIELDS.every((field) => field in parsed);
  if (!isRecord) throw new RecordUnreadable('fields are missing or of another version');
  return parsed as unknown as BackupRecord;
}
