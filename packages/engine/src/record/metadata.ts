// The record in the domain's own <metadata>: any blockferry that can open the connection finds it there.
import {
  type Domain,
  DomainAffectFlags,
  type DomainXml,
  ErrorCode,
  isLibvirtError,
} from '@blockferry/libvirt';
import type { MoveRecord } from '../model/record.ts';
import { formatRecord, parseRecord } from './serialise.ts';

/** VIR_DOMAIN_METADATA_ELEMENT */
const METADATA_ELEMENT = 2;
const PREFIX = 'blockferry';

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
    writes.push(set(domain, record.disk, element(record, places.mark), DomainAffectFlags.LIVE));
  }
  if (places.config) writes.push(set(domain, record.disk, element(record, false), DomainAffectFlags.CONFIG));
  await Promise.all(writes);
}

/** Removes the record from both definitions; no record there is fine. */
export async function removeMetadata(
  domain: Domain,
  disk: string,
  places: { readonly live: boolean; readonly config: boolean },
): Promise<void> {
  const removals: Promise<void>[] = [];
  if (places.live) removals.push(remove(domain, disk, DomainAffectFlags.LIVE));
  if (places.config) removals.push(remove(domain, disk, DomainAffectFlags.CONFIG));
  await Promise.all(removals);
}

/** @throws RecordUnreadable when there is an element of ours that this version cannot read. */
export function readMetadata(definition: DomainXml, disk: string): StoredRecord | undefined {
  const text = definition.metadataElement(namespaceOf(disk));
  if (text === undefined) return undefined;
  return {
    record: parseRecord(textOfElement(text)),
    mark: /\smark="instance"/.test(text.slice(0, text.indexOf('>'))),
  };
}

function element(record: MoveRecord, mark: boolean): string {
  return `<move${mark ? ' mark="instance"' : ''}>${escapeXml(formatRecord(record))}</move>`;
}

function set(domain: Domain, disk: string, content: string, flags: number): Promise<void> {
  return setElement(domain, { prefix: PREFIX, namespace: namespaceOf(disk) }, content, flags);
}

function remove(domain: Domain, disk: string, flags: number): Promise<void> {
  return removeElement(domain, { prefix: PREFIX, namespace: namespaceOf(disk) }, flags);
}

/** An element of <metadata>, by its namespace. */
export interface ElementName {
  readonly prefix: string;
  readonly namespace: string;
}

/** @param flags DomainAffectFlags: the definition that it is written to */
export async function setElement(
  domain: Domain,
  { prefix, namespace }: ElementName,
  content: string,
  flags: number,
): Promise<void> {
  await domain.setMetadata(METADATA_ELEMENT, content, prefix, namespace, flags);
}

/** None there is fine. */
export async function removeElement(
  domain: Domain,
  { prefix, namespace }: ElementName,
  flags: number,
): Promise<void> {
  try {
    await domain.setMetadata(METADATA_ELEMENT, null, prefix, namespace, flags);
  } catch (error) {
    if (!isLibvirtError(error, ErrorCode.NO_DOMAIN_METADATA)) throw error;
  }
}

/** What an element holds that `setElement` wrote text into, escaped. */
export function textOfElement(element: string): string {
  return unescapeXml(element.slice(element.indexOf('>') + 1, element.lastIndexOf('</'))).trim();
}

export function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function unescapeXml(text: string): string {
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&');
}
