// Edits of a definition as a whole, for a domain that is made from another's: its name, what must be its own, its firmware.
import type { Element } from '@xmldom/xmldom';
import { attribute, child, childElements, type XmlDocument } from './document.ts';
import { applyEdits, type Edit, removal, replacement, setAttribute } from './edits.ts';
import { element, escapeXml } from './escape.ts';

/** The text without the children of <metadata> whose namespace is one of those. */
export function withoutMetadata(document: XmlDocument, isOne: (namespaceUri: string) => boolean): string {
  const metadata = child(document.root, 'metadata');
  const ours = metadata && childElements(metadata).filter((one) => isOne(one.namespaceURI ?? ''));
  return applyEdits(
    document.text,
    (ours ?? []).map((one) => removal(document, one)),
  );
}

/**
 * The text with another name and UUID, and without what else no two domains may share: the MACs of interfaces, the
 * generation id, of which libvirt makes new ones; memory that is a file, which both would write to.
 */
export function asAnotherDomain(document: XmlDocument, name: string, uuid: string): string {
  const { root } = document;
  const interfaces = childElements(child(root, 'devices') ?? root, 'interface');
  const own = [
    ...memoryOnFiles(root),
    ...childElements(root, 'uuid'),
    ...interfaces.flatMap((one) => childElements(one, 'mac')),
    ...childElements(root, 'genid').filter((one) => (one.textContent ?? '') !== ''),
  ];
  const edits = own.map((one) => removal(document, one));
  const names = childElements(root, 'name').map((one) =>
    replacement(document, one, element('name', {}, escapeXml(name)) + element('uuid', {}, escapeXml(uuid))),
  );
  return applyEdits(document.text, [...names, ...edits]);
}

/** Memory that keeps what the guest writes in a file. */
export function memoryOnFiles(root: Element): Element[] {
  const memory = childElements(child(root, 'devices') ?? root, 'memory');
  return memory.filter((one) => ['nvdimm', 'virtio-pmem'].includes(attribute(one, 'model') ?? ''));
}

/** The text without the devices of this kind. */
export function withoutDevices(document: XmlDocument, kind: string): string {
  const devices = childElements(child(document.root, 'devices') ?? document.root, kind);
  return applyEdits(
    document.text,
    devices.map((device) => removal(document, device)),
  );
}

/** The text without these disks. */
export function withoutDisks(document: XmlDocument, isOne: (target: string) => boolean): string {
  const disks = childElements(child(document.root, 'devices') ?? document.root, 'disk');
  const gone = disks.filter((disk) => isOne(attribute(child(disk, 'target'), 'dev') ?? ''));
  return applyEdits(
    document.text,
    gone.map((disk) => removal(document, disk)),
  );
}

/** The text with the firmware's variables at this path, whichever way they are named; unchanged if there are none. */
export function withNvram(document: XmlDocument, path: string): string {
  const nvram = child(document.root, 'os', 'nvram');
  if (nvram === undefined) return document.text;
  return applyEdits(document.text, [nvramEdit(document, nvram, path)]);
}

function nvramEdit(document: XmlDocument, nvram: Element, path: string): Edit {
  const source = child(nvram, 'source');
  if (source !== undefined) return setAttribute(document, source, 'file', path);
  const { content, startTag, end, start } = document.span(nvram);
  if (content !== undefined) return { ...content, text: escapeXml(path) };
  const open = document.text.slice(startTag.start, startTag.end).replace(/\s*\/>$/, '>');
  return { start, end, text: `${open}${escapeXml(path)}</nvram>` };
}
