// Edits of a definition as a whole, for a domain that is made from another's: its name, what must be its own, its firmware.
import type { Element } from '@xmldom/xmldom';
import { attribute, child, childElements, type XmlDocument } from './document.ts';
import { applyEdits, type Edit, removal, replacement, setAttribute, withoutAttribute } from './edits.ts';
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
 * The text with another name and UUID, and without what else no two domains may share: what libvirt makes anew (MACs and
 * devices of interfaces, the generation id, ports and sockets of displays, sockets of channels, CIDs), and memory that is a
 * file, which both would write to.
 */
export function asAnotherDomain(document: XmlDocument, name: string, uuid: string): string {
  const { root } = document;
  const devices = (kind: string) => childElements(child(root, 'devices') ?? root, kind);
  const own = [
    ...memoryOnFiles(root),
    ...childElements(root, 'uuid'),
    ...devices('interface').flatMap((one) => [...childElements(one, 'mac'), ...deviceOf(one)]),
    ...childElements(root, 'genid').filter((one) => (one.textContent ?? '') !== ''),
  ];
  const edits = [
    ...own.map((one) => removal(document, one)),
    ...devices('graphics').flatMap((one) => displayEdits(document, one)),
    ...devices('channel').flatMap((one) => channelEdits(document, one)),
    ...devices('vsock').flatMap((one) => childElements(one, 'cid').flatMap((cid) => cidEdits(document, cid))),
  ];
  const names = childElements(root, 'name').map((one) =>
    replacement(document, one, element('name', {}, escapeXml(name)) + element('uuid', {}, escapeXml(uuid))),
  );
  return applyEdits(document.text, [...names, ...edits]);
}

/** The interface's device on the host; not one that somebody else made (`managed='no'`). */
function deviceOf(one: Element): Element[] {
  return childElements(one, 'target').filter((target) => attribute(target, 'managed') !== 'no');
}

/** Ports that libvirt chooses, where they were chosen by somebody; a socket, too. */
function displayEdits(document: XmlDocument, display: Element): Edit[] {
  const chosen = ['port', 'tlsPort', 'websocket'].filter((name) => Number(attribute(display, name)) > 0);
  return [
    ...chosen.map((name) => setAttribute(document, display, name, '-1')),
    ...(attribute(display, 'autoport') === 'no' ? [setAttribute(document, display, 'autoport', 'yes')] : []),
    ...[display, ...childElements(display, 'listen')].flatMap((one) =>
      withoutAttribute(document, one, 'socket'),
    ),
  ];
}

/** A socket that QEMU listens on. */
function channelEdits(document: XmlDocument, channel: Element): Edit[] {
  if (attribute(channel, 'type') !== 'unix') return [];
  const bound = childElements(channel, 'source').filter((one) => attribute(one, 'mode') !== 'connect');
  return bound.flatMap((one) => withoutAttribute(document, one, 'path'));
}

function cidEdits(document: XmlDocument, cid: Element): Edit[] {
  const free = setAttribute(document, cid, 'auto', 'yes');
  return attribute(cid, 'auto') === 'yes' ? [] : [free, ...withoutAttribute(document, cid, 'address')];
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
