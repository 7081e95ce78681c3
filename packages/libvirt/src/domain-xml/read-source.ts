// Reads a <source> element (of a disk, a backing store, a mirror or a snapshot) into a DiskSource.
import type { Element } from '@xmldom/xmldom';
import type {
  DiskSource,
  NetworkSource,
  NvmeSource,
  SourceDetails,
  SourceHost,
  StorageSlice,
} from './disk-source.ts';
import { attribute, child, childElements, type XmlDocument } from './document.ts';
import { DomainXmlError } from './errors.ts';

type Attributes = (name: string) => string | undefined;

/**
 * Reads the <source> child of `parent`, whose `type` attribute says what kind it is (libvirt's default: file).
 *
 * @returns undefined where there is none, or an empty one: a drive without a medium.
 */
export function readSource(document: XmlDocument, parent: Element): DiskSource | undefined {
  const element = child(parent, 'source');
  if (element === undefined) return undefined;
  const type = attribute(parent, 'type') ?? 'file';
  const source = readKind(document, element, type);
  if (source === undefined) return undefined;
  return source.kind === 'other' ? source : { ...source, ...readDetails(document, parent, element) };
}

function readKind(document: XmlDocument, element: Element, type: string): DiskSource | undefined {
  const get: Attributes = (name) => attribute(element, name);
  switch (type) {
    case 'file':
      return withPath(get('file'), (path) => ({
        kind: 'file',
        path,
        ...present({ fdGroup: get('fdgroup') }),
      }));
    case 'block':
      return withPath(get('dev'), (path) => ({ kind: 'block', path }));
    case 'dir':
      return withPath(get('dir'), (path) => ({ kind: 'dir', path }));
    case 'vhostuser':
      return withPath(get('path'), (path) => ({ kind: 'vhostuser', path }));
    case 'vhostvdpa':
      return withPath(get('dev'), (path) => ({ kind: 'vhostvdpa', path }));
    case 'network':
      return readNetwork(get, element);
    case 'volume': {
      const [pool, volume] = [get('pool'), get('volume')];
      if (pool === undefined || volume === undefined) return undefined;
      return { kind: 'volume', pool, volume, ...present({ mode: get('mode') }) };
    }
    case 'nvme':
      return readNvme(get, element);
    default:
      return { kind: 'other', type, xml: document.source(element) };
  }
}

function withPath(path: string | undefined, source: (path: string) => DiskSource): DiskSource | undefined {
  return path === undefined || path === '' ? undefined : source(path);
}

function readNetwork(get: Attributes, element: Element): NetworkSource {
  const tls = get('tls');
  return {
    kind: 'network',
    protocol: get('protocol') ?? '',
    hosts: childElements(element, 'host').map(readHost),
    ...present({
      name: get('name'),
      query: get('query'),
      tls: tls === undefined ? undefined : tls === 'yes',
      tlsHostname: get('tlsHostname'),
      config: attribute(child(element, 'config'), 'file'),
      snapshot: attribute(child(element, 'snapshot'), 'name'),
    }),
  };
}

function readHost(host: Element): SourceHost {
  return present({
    name: attribute(host, 'name'),
    port: attribute(host, 'port'),
    transport: attribute(host, 'transport'),
    socket: attribute(host, 'socket'),
  });
}

function readNvme(get: Attributes, element: Element): NvmeSource {
  const address = child(element, 'address');
  const part = (name: string): string => number(attribute(address, name) ?? '0x0');
  return {
    kind: 'nvme',
    namespace: number(get('namespace') ?? '1'),
    address: { domain: part('domain'), bus: part('bus'), slot: part('slot'), function: part('function') },
    ...present({ managed: get('managed') }),
  };
}

const partOfKind = new Set(['host', 'config', 'snapshot', 'address', 'slices']);

// Older definitions carry <auth> and <encryption> beside the <source> they belong to.
function readDetails(document: XmlDocument, parent: Element, element: Element): SourceDetails {
  const verbatim = (wanted: (name: string) => boolean, within = element): string | undefined => {
    const found = childElements(within).filter((one) => wanted(one.tagName));
    return found.length === 0 ? undefined : found.map(document.source).join('');
  };
  const named = (name: string) => (one: string) => one === name;
  const known = (name: string): boolean =>
    partOfKind.has(name) || name === 'seclabel' || name === 'encryption' || name === 'auth';
  return present({
    startupPolicy: attribute(element, 'startupPolicy'),
    slices: readSlices(element),
    seclabel: verbatim(named('seclabel')),
    encryption: verbatim(named('encryption')) ?? verbatim(named('encryption'), parent),
    auth: verbatim(named('auth')) ?? verbatim(named('auth'), parent),
    other: verbatim((name) => !known(name)),
  });
}

function readSlices(element: Element): StorageSlice[] | undefined {
  const slices = childElements(child(element, 'slices') ?? element, 'slice').map((slice) => ({
    offset: BigInt(number(attribute(slice, 'offset') ?? '0')),
    size: BigInt(number(attribute(slice, 'size') ?? '0')),
  }));
  return slices.length === 0 ? undefined : slices;
}

/** What libvirt takes as a number too: decimal, or hexadecimal with 0x. */
function number(text: string): string {
  if (/^(0x[0-9a-f]+|\d+)$/i.test(text)) return text;
  throw new DomainXmlError('malformed', `${JSON.stringify(text)} is not a number`, { text });
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** The members that have a value. */
export function present<T extends object>(members: T): Present<T> {
  const kept = Object.entries(members).filter(([, value]) => value !== undefined);
  return Object.fromEntries(kept) as Present<T>;
}
