// The edit of one <disk>: which ranges of the text are cut, and what is put in their place.
import type { Element } from '@xmldom/xmldom';
import type { DiskSource } from './disk-source.ts';
import { attribute, child, childElements, type XmlDocument } from './document.ts';
import {
  applyEdits,
  type Edit,
  insertionBefore,
  onlyChild,
  removal,
  replacement,
  setAttribute,
} from './edits.ts';
import { DomainXmlError } from './errors.ts';
import { element } from './escape.ts';
import { type Backing, backingElement, sourceElement, sourceType } from './write-source.ts';

/** The document's text with `disk` pointing at `source`, see DomainXml.setDiskSource. */
export function replaceDiskSource(
  document: XmlDocument,
  disk: Element,
  source: DiskSource,
  format: string,
  backing?: Backing,
): string {
  const below = backing === undefined ? '' : backingElement(backing);
  const written = sourceElement(keepStartupPolicy(disk, source)) + below;
  const edits = [
    setAttribute(document, disk, 'type', sourceType(source)),
    ...['backingStore', 'mirror', 'auth', 'encryption'].flatMap((name) =>
      childElements(disk, name).map((one) => removal(document, one)),
    ),
  ];
  const old = onlyChild(disk, 'source');
  edits.push(old === undefined ? insertion(document, disk, written) : replacement(document, old, written));
  edits.push(...driverEdits(document, disk, format));
  return applyEdits(document.text, edits);
}

/** The disk's driver made to say `format`. */
export function driverEdits(document: XmlDocument, disk: Element, format: string): Edit[] {
  const driver = onlyChild(disk, 'driver');
  if (driver === undefined) {
    return [insertion(document, disk, element('driver', { name: 'qemu', type: format }))];
  }
  const edits = [setAttribute(document, driver, 'type', format)];
  if (format === 'qcow2') return edits;
  // libvirt refuses the definition otherwise: "supported only with qcow2 images".
  const caches = childElements(driver, 'metadata_cache').map((one) => removal(document, one));
  return [...edits, ...caches];
}

/** libvirt keeps the policy with the disk, not with its source, and refuses it for network disks. */
export function keepStartupPolicy(holder: Element, source: DiskSource): DiskSource {
  const policy = attribute(child(holder, 'source'), 'startupPolicy');
  if (policy === undefined || source.startupPolicy !== undefined) return source;
  if (source.kind === 'network' || source.kind === 'other') return source;
  return { ...source, startupPolicy: policy };
}

/** Puts an element before the disk's <target>, indented like it. */
function insertion(document: XmlDocument, disk: Element, written: string): Edit {
  const target = child(disk, 'target');
  if (target === undefined) throw new DomainXmlError('malformed', 'the disk has no <target>');
  return insertionBefore(document, target, written);
}
