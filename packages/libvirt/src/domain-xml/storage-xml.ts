// XML of things beside the domain: snapshots (to make, and what they name), volumes and pools.
import { type DiskSource, describeSource } from './disk-source.ts';
import { attribute, child, childElements, parseXml, textOf, type XmlDocument } from './document.ts';
import { DomainXmlError } from './errors.ts';
import { element, escapeXml } from './escape.ts';
import { present, readSource } from './read-source.ts';
import { sourceElement, sourceType } from './write-source.ts';

export type SnapshotDisk =
  | { readonly target: string; readonly source: DiskSource; readonly format?: string | undefined }
  | { readonly target: string; readonly snapshot: 'no' };

/**
 * XML for virDomainSnapshotCreateXML: an external overlay for each disk with a source, none for the others.
 * Name every disk of the domain: libvirt takes its own default for those left out.
 *
 * @throws DomainXmlError `unrepresentable` for a path XML cannot carry.
 */
export function snapshotXml(options: {
  readonly disks: readonly SnapshotDisk[];
  readonly name?: string | undefined;
}): string {
  const disks = options.disks.map((disk) => {
    if ('snapshot' in disk) return element('disk', { name: disk.target, snapshot: 'no' });
    const driver = disk.format === undefined ? '' : element('driver', { type: disk.format });
    const values = { name: disk.target, snapshot: 'external', type: sourceType(disk.source) };
    return element('disk', values, driver + sourceElement(disk.source));
  });
  const name = options.name === undefined ? '' : textElement('name', options.name);
  return element('domainsnapshot', {}, name + element('disks', {}, disks.join('')));
}

/**
 * XML for virStorageVolCreateXML. `capacity` in bytes.
 *
 * @throws DomainXmlError `unrepresentable` for a name or path XML cannot carry.
 */
export function volumeXml(options: {
  readonly name: string;
  readonly capacity: bigint;
  readonly format: string;
  readonly backing?: { readonly path: string; readonly format: string } | undefined;
  /**
   * Take no storage yet: libvirt would otherwise allocate a raw file in full. Not for pools of a volume group, where
   * it means a snapshot.
   */
  readonly sparse?: boolean | undefined;
}): string {
  const { name, capacity, format, backing, sparse } = options;
  const content = [
    textElement('name', name),
    element('capacity', { unit: 'bytes' }, `${capacity}`),
    sparse === true ? element('allocation', { unit: 'bytes' }, '0') : '',
    element('target', {}, element('format', { type: format })),
  ];
  if (backing !== undefined) {
    const parts = textElement('path', backing.path) + element('format', { type: backing.format });
    content.push(element('backingStore', {}, parts));
  }
  return element('volume', {}, content.join(''));
}

function textElement(name: string, text: string): string {
  return element(name, {}, escapeXml(text));
}

export type PoolTarget = {
  /** `dir`, `fs`, `logical`, `rbd`, … */
  readonly type: string;
  readonly name: string;
  readonly uuid?: string | undefined;
  /** Where volumes appear on the host; absent for network pools. */
  readonly path?: string | undefined;
  /** The name of what the pool is made of: the Ceph pool, the volume group. */
  readonly sourceName?: string | undefined;
};

/**
 * What a pool is and where it keeps its volumes.
 *
 * @throws DomainXmlError `malformed` or `doctype`.
 */
export function poolTarget(poolXml: string): PoolTarget {
  const { root } = expectRoot(poolXml, 'pool');
  return {
    type: attribute(root, 'type') ?? '',
    name: textOf(child(root, 'name')) ?? '',
    ...present({
      uuid: textOf(child(root, 'uuid')),
      path: textOf(child(root, 'target', 'path')),
      sourceName: textOf(child(root, 'source', 'name')),
    }),
  };
}

export type SnapshotFiles = {
  readonly name: string;
  readonly disks: readonly SnapshotFile[];
  /** The file the guest's memory was saved to. */
  readonly memory?: string | undefined;
};

export type SnapshotFile = {
  readonly target: string;
  readonly path: string;
  readonly source: DiskSource;
  /** `overlay`: made by the snapshot. `definition`: in the definitions the snapshot would bring back. */
  readonly named: 'overlay' | 'definition';
};

/**
 * Every image that libvirt's metadata of one snapshot names: the overlays it made, and the disks of the
 * definitions that a revert would bring back.
 *
 * @throws DomainXmlError `malformed` or `doctype`.
 */
export function snapshotFiles(xml: string): SnapshotFiles {
  const document = expectRoot(xml, 'domainsnapshot');
  const overlays = filesOf(document, ['disks'], 'overlay');
  const definitions = ['domain', 'inactiveDomain'].flatMap((name) =>
    filesOf(document, [name, 'devices'], 'definition'),
  );
  const distinct = new Map(
    [...overlays, ...definitions].map((file) => [JSON.stringify([file.named, file.target, file.path]), file]),
  );
  return {
    name: textOf(child(document.root, 'name')) ?? '',
    disks: [...distinct.values()],
    ...present({ memory: attribute(child(document.root, 'memory'), 'file') }),
  };
}

function filesOf(
  document: XmlDocument,
  path: readonly string[],
  named: SnapshotFile['named'],
): SnapshotFile[] {
  const holder = child(document.root, ...path);
  const files: SnapshotFile[] = [];
  for (const disk of holder === undefined ? [] : childElements(holder, 'disk')) {
    const source = readSource(document, disk);
    if (source === undefined) continue;
    const target = attribute(disk, 'name') ?? attribute(child(disk, 'target'), 'dev') ?? '';
    files.push({ target, path: describeSource(source), source, named });
  }
  return files;
}

function expectRoot(xml: string, name: string): XmlDocument {
  const document = parseXml(xml);
  if (document.root.tagName !== name) {
    throw new DomainXmlError('malformed', `expected <${name}>, found <${document.root.tagName}>`);
  }
  return document;
}
