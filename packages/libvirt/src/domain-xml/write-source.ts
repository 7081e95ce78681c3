// Writes a DiskSource as a <source> element, and the <disk> element that libvirt's block copy takes.
import type { DiskSource, NetworkSource, NvmeSource, StorageSlice } from './disk-source.ts';
import { DomainXmlError } from './errors.ts';
import { element } from './escape.ts';

/** What a disk's image is backed by: nothing (declared, so that libvirt does not probe), or another image. */
export type Backing =
  | 'none'
  | { readonly source: DiskSource; readonly format: string; readonly backing?: Backing | undefined };

export type DiskElementOptions = {
  readonly target?: string | undefined;
  readonly bus?: string | undefined;
  /** Show only this many bytes, from the first: the way to copy onto a larger block device. */
  readonly slice?: bigint | undefined;
  /** `false`: libvirt leaves owner and mode of the destination as they are. */
  readonly relabel?: false | undefined;
  readonly backing?: Backing | undefined;
  /** XML of an <encryption> element. */
  readonly encryption?: string | undefined;
  /** XML of a <metadata_cache> element. */
  readonly metadataCache?: string | undefined;
};

/** The `type` attribute of a disk, backing store or mirror whose source this is. */
export function sourceType(source: DiskSource): string {
  return source.kind === 'other' ? source.type : (source.named ?? source).kind;
}

/**
 * The <source> element of `source`.
 *
 * @throws DomainXmlError `unrepresentable` for a path or name XML cannot carry.
 */
export function sourceElement(source: DiskSource): string {
  if (source.kind === 'other') return source.xml;
  const { values, content } = kindParts(source.named ?? source);
  const details = [
    source.auth,
    source.encryption,
    source.slices === undefined ? undefined : slicesElement(source.slices),
    source.seclabel,
    source.other,
  ];
  return element('source', { ...values, startupPolicy: source.startupPolicy }, content + details.join(''));
}

type Parts = { readonly values: Readonly<Record<string, string | undefined>>; readonly content: string };

function kindParts(source: Exclude<DiskSource, { kind: 'other' }>): Parts {
  switch (source.kind) {
    case 'file':
      return { values: { file: source.path, fdgroup: source.fdGroup }, content: '' };
    case 'block':
    case 'vhostvdpa':
      return { values: { dev: source.path }, content: '' };
    case 'dir':
      return { values: { dir: source.path }, content: '' };
    case 'network':
      return networkParts(source);
    case 'volume':
      return { values: { pool: source.pool, volume: source.volume, mode: source.mode }, content: '' };
    case 'nvme':
      return nvmeParts(source);
    case 'vhostuser':
      return { values: { type: 'unix', path: source.path }, content: '' };
    default:
      return unreachable(source);
  }
}

function networkParts(source: NetworkSource): Parts {
  const tls = source.tls === undefined ? undefined : source.tls ? 'yes' : 'no';
  const { protocol, name, query, tlsHostname, snapshot, config } = source;
  const hosts = source.hosts.map(({ name, port, transport, socket }) =>
    element('host', { name, port, transport, socket }),
  );
  if (snapshot !== undefined) hosts.push(element('snapshot', { name: snapshot }));
  if (config !== undefined) hosts.push(element('config', { file: config }));
  return { values: { protocol, name, query, tls, tlsHostname }, content: hosts.join('') };
}

function nvmeParts(source: NvmeSource): Parts {
  const { domain, bus, slot } = source.address;
  return {
    values: { type: 'pci', managed: source.managed, namespace: source.namespace },
    content: element('address', { domain, bus, slot, function: source.address.function }),
  };
}

function slicesElement(slices: readonly StorageSlice[]): string {
  const each = slices.map(({ offset, size }) =>
    element('slice', { type: 'storage', offset: `${offset}`, size: `${size}` }),
  );
  return element('slices', {}, each.join(''));
}

/**
 * The <disk> element virDomainBlockCopy takes as its destination; with `target` also good for an attach.
 * Cache, io and discard are left out: libvirt ignores them here and keeps the source disk's.
 *
 * @throws DomainXmlError `unrepresentable` for a path XML cannot carry, or a slice together with slices.
 */
export function diskElement(source: DiskSource, format: string, options: DiskElementOptions = {}): string {
  const { target, bus, backing, metadataCache } = options;
  const content = [
    element('driver', { name: 'qemu', type: format }, metadataCache),
    sourceElement(withOptions(source, options)),
    backing === undefined ? '' : backingElement(backing),
    target === undefined ? '' : element('target', { dev: target, bus }),
  ];
  return element('disk', { type: sourceType(source), device: 'disk' }, content.join(''));
}

function withOptions(source: DiskSource, options: DiskElementOptions): DiskSource {
  const { slice, relabel, encryption } = options;
  if (slice === undefined && relabel === undefined && encryption === undefined) return source;
  if (source.kind === 'other' || (slice !== undefined && source.slices !== undefined)) {
    throw new DomainXmlError('unrepresentable', 'this source cannot be given a slice, label or encryption', {
      source: source.kind,
    });
  }
  return {
    ...source,
    slices: slice === undefined ? source.slices : [{ offset: 0n, size: slice }],
    encryption: encryption ?? source.encryption,
    // DAC is the driver that changes owner and mode; a label of one model says nothing of the others.
    seclabel: relabel === false ? element('seclabel', { model: 'dac', relabel: 'no' }) : source.seclabel,
  };
}

/** The <backingStore> element that says what an image is backed by. @throws as sourceElement does */
export function backingElement(backing: Backing): string {
  if (backing === 'none') return '<backingStore/>';
  const { source, format } = backing;
  const content = element('format', { type: format }) + sourceElement(source);
  const next = backing.backing === undefined ? '' : backingElement(backing.backing);
  return element('backingStore', { type: sourceType(source) }, content + next);
}

function unreachable(value: never): never {
  throw new TypeError(`unexpected ${JSON.stringify(value)}`);
}
