// The record in the domain's own <metadata>: any blockferry that can open the connection finds it there.
import { type Domain, DomainAffectFlags, type DomainXml } from '@blockferry/libvirt';
import type { MoveRecord } from '../model/record.ts';
import { escapeText, removeElement, setElement, textOfElement } from './element.ts';
import { formatRecord, parseRecord, RecordUnreadable } from './serialise.ts';

/** One namespace a disk, so that moves of two disks of one domain never write over each other. */
function namespaceOf(disk: string): string {
  return `urn:blockferry:move:1:${disk}`;
}

export interface StoredRecord {
  readonly record: MoveRecord;
  /** Written into the live definition only: a restarted QEMU starts from the persistent one, without it. */
  readonly mark: boolean;
}

/**
 * Writes the record to the live definition (with `mark`, see StoredRecord) and to the persistent one, where they exist.
 * May be repeated. libvirt keeps both on disk before it answers (virDomainSetMetadata).
 */
export async function writeMetadata(
  domain: Domain,
  record: MoveRecord,
  places: { readonly live: boolean; readonly config: boolean; readonly mark: boolean },
): Promise<void> {
  const writes: Promise<void>[] = [];
  if (places.live) {
    writes.push(
      setElement(domain, namespaceOf(record.disk), element(record, places.mark), DomainAffectFlags.LIVE),
    );
  }
  if (places.config)
    writes.push(
      setElement(domain, namespaceOf(record.disk), element(record, false), DomainAffectFlags.CONFIG),
    );
  await Promise.all(writes);
}

/** Removes the record from both definitions; no record there is fine. */
export async function removeMetadata(
  domain: Domain,
  disk: string,
  places: { readonly live: boolean; readonly config: boolean },
): Promise<void> {
  const removals: Promise<void>[] = [];
  if (places.live) removals.push(removeElement(domain, namespaceOf(disk), DomainAffectFlags.LIVE));
  if (places.config) removals.push(removeElement(domain, namespaceOf(disk), DomainAffectFlags.CONFIG));
  await Promise.all(removals);
}

/** @throws RecordUnreadable when there is an element of ours that this version cannot read. */
export function readMetadata(definition: DomainXml, disk: string): StoredRecord | undefined {
  const text = definition.metadataElement(namespaceOf(disk));
  if (text === undefined) return undefined;
  return {
    record: recordOf(definition, disk, textOfElement(text)),
    mark: /\smark="instance"/.test(text.slice(0, text.indexOf('>'))),
  };
}

function recordOf({ name }: DomainXml, disk: string, text: string): MoveRecord {
  try {
    return parseRecord(text);
  } catch (error) {
    if (!(error instanceof RecordUnreadable)) throw error;
    throw new RecordUnreadable(error.why, { cause: error }, `of ${disk} of ${name}`);
  }
}

function element(record: MoveRecord, mark: boolean): string {
  return `<move${mark ? ' mark="instance"' : ''}>${escapeText(formatRecord(record))}</move>`;
}
