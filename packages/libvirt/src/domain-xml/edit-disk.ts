// The edit of one <disk>: which ranges of the text are cut, and what is put in their place.
import type { Element } from '@xmldom/xmldom';
import type { DiskSource } from './disk-source.ts';
import { attribute, child, childElements, type XmlDocument } from './document.ts';
import { DomainXmlError } from './errors.ts';
import { attributes, element } from './escape.ts';
import { sourceElement, sourceType } from './write-source.ts';

type Edit = { readonly start: number; readonly end: number; readonly text: string };

/** The document's text with `disk` pointing at `source`, see DomainXml.setDiskSource. */
export function replaceDiskSource(
  document: XmlDocument,
  disk: Element,
  source: DiskSource,
  format: string,
): string {
  const written = sourceElement(keepStartupPolicy(disk, source));
  const edits = [
    setAttribute(document, disk, 'type', sourceType(source)),
    ...['backingStore', 'mirror', 'auth', 'encryption'].flatMap((name) =>
      childElements(disk, name).map((one) => removal(document, one)),
    ),
  ];
  const old = only(disk, 'source');
  edits.push(
    old === undefined ? insertion(document, disk, written) : { ...document.span(old), text: written },
  );
  edits.push(...driverEdits(document, disk, format));
  return applyEdits(document.text, edits);
}

function driverEdits(document: XmlDocument, disk: Element, format: string): Edit[] {
  const driver = only(disk, 'driver');
  if (driver === undefined) {
    return [insertion(document, disk, element('driver', { name: 'qemu', type: format }))];
  }
  const edits = [setAttribute(document, driver, 'type', format)];
  if (format === 'qcow2') return edits;
  // libvirt refuses the definition otherwise: "supported only with qcow2 images".
  const caches = childElements(driver, 'metadata_cache').map((one) => removal(document, one));
  return [...edits, ...caches];
}

// libvirt keeps the policy with the disk, not with its source, and refuses it for network disks.
function keepStartupPolicy(disk: Element, source: DiskSource): DiskSource {
  const policy = attribute(child(disk, 'source'), 'startupPolicy');
  if (policy === undefined || source.startupPolicy !== undefined) return source;
  if (source.kind === 'network' || source.kind === 'other') return source;
  return { ...source, startupPolicy: policy };
}

function only(disk: Element, name: string): Element | undefined {
  const found = childElements(disk, name);
  if (found.length > 1) {
    const target = attribute(child(disk, 'target'), 'dev') ?? '';
    throw new DomainXmlError('ambiguous', `disk ${target} has more than one <${name}>`, { target, name });
  }
  return found[0];
}

function setAttribute(document: XmlDocument, of: Element, name: string, value: string): Edit {
  const span = document.span(of);
  const present = span.attributes.find((one) => one.name === name);
  if (present === undefined) {
    return { start: span.nameEnd, end: span.nameEnd, text: attributes({ [name]: value }) };
  }
  return { start: present.start, end: present.end, text: attributes({ [name]: value }).trimStart() };
}

/** Cuts an element together with its indentation, so that no empty line is left; text before it stays whole. */
function removal(document: XmlDocument, one: Element): Edit {
  const { start, end } = document.span(one);
  const indented = start - leadingSpace(document.text, start).length;
  return { start: document.text.charAt(indented - 1) === '>' ? indented : start, end, text: '' };
}

/** Puts an element before the disk's <target>, indented like it. */
function insertion(document: XmlDocument, disk: Element, written: string): Edit {
  const target = child(disk, 'target');
  if (target === undefined) throw new DomainXmlError('malformed', 'the disk has no <target>');
  const { start } = document.span(target);
  return { start, end: start, text: written + leadingSpace(document.text, start) };
}

// White space as XML 1.0, section 2.3 has it; JavaScript's includes characters that are text here.
function leadingSpace(text: string, at: number): string {
  let start = at;
  while (/[ \t\r\n]/.test(text.charAt(start - 1))) start -= 1;
  return text.slice(start, at);
}

function applyEdits(text: string, edits: readonly Edit[]): string {
  let result = text;
  // From the back, so that earlier offsets stay valid; insertions at one place keep the order they came in.
  for (const edit of [...edits].sort((a, b) => b.start - a.start || b.end - a.end)) {
    result = result.slice(0, edit.start) + edit.text + result.slice(edit.end);
  }
  return result;
}
