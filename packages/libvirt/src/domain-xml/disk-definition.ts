// Reads a <disk> element: what the guest sees, where its bytes are, the live backing chain and a running mirror.
import type { Element } from '@xmldom/xmldom';
import type { DiskSource, StorageSlice } from './disk-source.ts';
import { attribute, child, parseXml, textOf, type XmlDocument } from './document.ts';
import { DomainXmlError } from './errors.ts';
import { present, readSource } from './read-source.ts';

/** One image of a chain. The format is the declared one; undefined means that libvirt would take it as raw. */
export type ChainImage = {
  readonly source: DiskSource;
  readonly format?: string | undefined;
  /** The N of `vda[N]`, in live XML only. Renumbered at the next start of the domain. */
  readonly index?: string | undefined;
  /** The external data file of a qcow2 image (libvirt 10.10 and later name it). */
  readonly dataFile?: { readonly source: DiskSource; readonly format?: string | undefined } | undefined;
};

export type Chain = {
  /** Top first. */
  readonly images: readonly ChainImage[];
  /** Whether an empty <backingStore/> says that the last image has no backing file; else it is not known. */
  readonly terminated: boolean;
};

export type MirrorDefinition = {
  /** `copy`, `active-commit`, or a job of a later libvirt. */
  readonly job: string;
  /** `yes`: can be pivoted. `abort` or `pivot`: that is under way. `no`: still copying. */
  readonly ready: 'yes' | 'no' | 'abort' | 'pivot';
  readonly source: DiskSource | undefined;
  readonly format?: string | undefined;
  readonly chain: readonly ChainImage[];
  readonly chainTerminated: boolean;
};

export type DriverDefinition = {
  readonly name?: string | undefined;
  /** The image format (attribute `type`). */
  readonly format?: string | undefined;
  readonly cache?: string | undefined;
  readonly io?: string | undefined;
  readonly discard?: string | undefined;
  readonly detectZeroes?: string | undefined;
  readonly errorPolicy?: string | undefined;
  readonly iothread?: string | undefined;
  /** `on`: QEMU writes to the active image what the guest reads of the images below. */
  readonly copyOnRead?: string | undefined;
  /** XML: <metadata_cache>, verbatim. */
  readonly metadataCache?: string | undefined;
};

export type DiskDefinition = {
  /** The target dev (`vda`); empty only in a destination's XML, which need not name one. */
  readonly target: string;
  readonly bus?: string | undefined;
  readonly device: 'disk' | 'cdrom' | 'floppy' | 'lun';
  readonly driver: DriverDefinition;
  /** undefined: a drive without a medium. */
  readonly source: DiskSource | undefined;
  readonly chain: readonly ChainImage[];
  readonly chainTerminated: boolean;
  readonly mirror?: MirrorDefinition | undefined;
  readonly readonly: boolean;
  readonly shareable: boolean;
  readonly transient: boolean;
  /** The disk's default for snapshots: `internal`, `external`, `manual`, `no`. */
  readonly snapshot?: string | undefined;
  /** Whether any image of the chain carries <encryption>. */
  readonly encrypted: boolean;
  readonly slices: readonly StorageSlice[];
  /** Whether the disk has limits on its I/O (<iotune> or <throttlefilters>). */
  readonly iotune: boolean;
  readonly serial?: string | undefined;
  readonly alias?: string | undefined;
  /** Its place among the devices that the firmware tries, from 1; undefined where the machine's own order counts. */
  readonly bootOrder?: number | undefined;
  /** The element, verbatim. */
  readonly xml: string;
};

/**
 * Reads a <disk> element that stands alone, such as the destination XML of a block copy.
 *
 * @throws DomainXmlError `malformed` or `doctype`.
 */
export function parseDiskXml(xml: string): DiskDefinition {
  const document = parseXml(xml);
  if (document.root.tagName !== 'disk') {
    throw new DomainXmlError('malformed', `expected <disk>, found <${document.root.tagName}>`);
  }
  return readDisk(document, document.root);
}

export function readDisk(document: XmlDocument, disk: Element): DiskDefinition {
  const driver = readDriver(document, disk);
  const source = readSource(document, disk);
  const top = source && readImage(document, disk, source, driver.format, child(disk, 'source'));
  const chain = readChain(document, disk, top);
  const mirror = child(disk, 'mirror');
  const device = readDevice(disk);
  return {
    target: attribute(child(disk, 'target'), 'dev') ?? '',
    device,
    driver,
    source,
    chain: chain.images,
    chainTerminated: chain.terminated,
    readonly: device === 'cdrom' || has(disk, 'readonly'),
    shareable: has(disk, 'shareable'),
    transient: has(disk, 'transient'),
    encrypted: has(disk, 'encryption') || chain.images.some((image) => image.source.encryption !== undefined),
    slices: source?.slices ?? [],
    iotune: has(disk, 'iotune') || has(disk, 'throttlefilters'),
    xml: document.source(disk),
    ...present({
      bus: attribute(child(disk, 'target'), 'bus'),
      mirror: mirror && readMirror(document, mirror),
      snapshot: attribute(disk, 'snapshot'),
      serial: textOf(child(disk, 'serial')),
      alias: attribute(child(disk, 'alias'), 'name'),
      bootOrder: readBootOrder(disk),
    }),
  };
}

function has(parent: Element, name: string): boolean {
  return child(parent, name) !== undefined;
}

function readBootOrder(disk: Element): number | undefined {
  const order = attribute(child(disk, 'boot'), 'order');
  return order === undefined ? undefined : Number(order);
}

function readDevice(disk: Element): DiskDefinition['device'] {
  const device = attribute(disk, 'device');
  return device === 'cdrom' || device === 'floppy' || device === 'lun' ? device : 'disk';
}

function readDriver(document: XmlDocument, disk: Element): DriverDefinition {
  const driver = child(disk, 'driver');
  const cache = child(driver, 'metadata_cache');
  return present({
    name: attribute(driver, 'name'),
    format: attribute(driver, 'type'),
    cache: attribute(driver, 'cache'),
    io: attribute(driver, 'io'),
    discard: attribute(driver, 'discard'),
    detectZeroes: attribute(driver, 'detect_zeroes'),
    errorPolicy: attribute(driver, 'error_policy'),
    iothread: attribute(driver, 'iothread'),
    copyOnRead: attribute(driver, 'copy_on_read'),
    metadataCache: cache && document.source(cache),
  });
}

function readImage(
  document: XmlDocument,
  parent: Element,
  source: DiskSource,
  format: string | undefined,
  indexed: Element | undefined,
): ChainImage {
  const store = child(parent, 'source', 'dataStore');
  const dataSource = store && readSource(document, store);
  const dataFile = dataSource && {
    source: dataSource,
    ...present({ format: attribute(child(store, 'format'), 'type') }),
  };
  return { source, ...present({ format, index: attribute(indexed, 'index'), dataFile }) };
}

// A <backingStore> without a type ends the chain (virDomainDiskBackingStoreParse). One whose source is missing
// ends what we know of it.
function readChain(document: XmlDocument, holder: Element, top: ChainImage | undefined): Chain {
  if (top === undefined) return { images: [], terminated: false };
  const images = [top];
  for (let store = child(holder, 'backingStore'); store !== undefined; store = child(store, 'backingStore')) {
    if (attribute(store, 'type') === undefined) return { images, terminated: true };
    const source = readSource(document, store);
    if (source === undefined) break;
    images.push(readImage(document, store, source, attribute(child(store, 'format'), 'type'), store));
  }
  return { images, terminated: false };
}

function readMirror(document: XmlDocument, mirror: Element): MirrorDefinition {
  // Before libvirt 1.2.6 the mirror was two attributes, which later ones repeat beside <source>.
  const legacyPath = attribute(mirror, 'file');
  const legacy = legacyPath === undefined ? undefined : ({ kind: 'file', path: legacyPath } as const);
  const source = readSource(document, mirror) ?? legacy;
  const format = attribute(child(mirror, 'format'), 'type') ?? attribute(mirror, 'format');
  const top = source && readImage(document, mirror, source, format, child(mirror, 'source'));
  const chain = readChain(document, mirror, top);
  const ready = attribute(mirror, 'ready');
  return {
    job: attribute(mirror, 'job') ?? 'copy',
    ready: ready === 'yes' || ready === 'abort' || ready === 'pivot' ? ready : 'no',
    source,
    chain: chain.images,
    chainTerminated: chain.terminated,
    ...present({ format }),
  };
}
