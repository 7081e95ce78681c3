// Where the bytes of a disk are, as data: the union of what libvirt's <source> can say, its identity and its name.

/** One slice of an image: the guest sees only these bytes of it. Offsets and sizes in bytes. */
export type StorageSlice = { readonly offset: bigint; readonly size: bigint };

export type SourceHost = {
  readonly name?: string | undefined;
  readonly port?: string | undefined;
  readonly transport?: string | undefined;
  readonly socket?: string | undefined;
};

/** What any kind of source may carry. XML members are verbatim, to be written back untouched. */
export type SourceDetails = {
  readonly startupPolicy?: string | undefined;
  readonly slices?: readonly StorageSlice[] | undefined;
  /** XML: every <seclabel>. */
  readonly seclabel?: string | undefined;
  /** XML: <encryption>. */
  readonly encryption?: string | undefined;
  /** XML: <auth>. */
  readonly auth?: string | undefined;
  /** Of a place that a definition names as a volume (DomainXml.placeVolumes): that name, which is written instead of it. */
  readonly named?: PoolVolume | undefined;
  /** XML: every other child element (reservations, cookies, ssl, timeout, dataStore…). */
  readonly other?: string | undefined;
};

export type FileSource = {
  readonly kind: 'file';
  readonly path: string;
  readonly fdGroup?: string | undefined;
};

export type NetworkSource = {
  readonly kind: 'network';
  readonly protocol: string;
  readonly name?: string | undefined;
  readonly hosts: readonly SourceHost[];
  readonly query?: string | undefined;
  readonly tls?: boolean | undefined;
  readonly tlsHostname?: string | undefined;
  /** Path of the protocol's own configuration file (ceph.conf). */
  readonly config?: string | undefined;
  /** Name of a snapshot inside the image (RBD). */
  readonly snapshot?: string | undefined;
};

export type NvmeSource = {
  readonly kind: 'nvme';
  /** PCI address as libvirt writes it: domain, bus, slot, function, hexadecimal with 0x. */
  readonly address: Readonly<Record<'domain' | 'bus' | 'slot' | 'function', string>>;
  readonly namespace: string;
  readonly managed?: string | undefined;
};

export type PoolVolume = {
  readonly kind: 'volume';
  readonly pool: string;
  readonly volume: string;
  /** Of an iSCSI pool: `direct` where QEMU opens the target itself, else `host`. */
  readonly mode?: string | undefined;
};

/** A source that the definition names by pool and volume. */
export type VolumeSource = SourceDetails & PoolVolume;

export type DiskSource = SourceDetails &
  (
    | FileSource
    | { readonly kind: 'block'; readonly path: string }
    | { readonly kind: 'dir'; readonly path: string }
    | NetworkSource
    | PoolVolume
    | NvmeSource
    | { readonly kind: 'vhostuser'; readonly path: string }
    | { readonly kind: 'vhostvdpa'; readonly path: string }
    /** A kind this client does not know: `type` of the disk and its <source>, verbatim. */
    | { readonly kind: 'other'; readonly type: string; readonly xml: string }
  );

export type DiskSourceKind = DiskSource['kind'];

// libvirt's defaults (storage_source_conf.c, virStorageSourceNetworkDefaultPort): it adds them to the live XML.
const defaultPorts: Readonly<Record<string, string>> = {
  nbd: '10809',
  http: '80',
  https: '443',
  ftp: '21',
  ftps: '990',
  tftp: '69',
  iscsi: '3260',
  gluster: '24007',
  sheepdog: '7000',
  ssh: '22',
  nfs: '2049',
  vxhs: '9999',
};

/**
 * Whether two sources are the same storage, as far as the XML can tell: equal paths (a file and a block device of
 * one path are the same), equal protocol, name, snapshot and hosts, equal pool and volume. Details such as
 * slices, labels and credentials do not matter. Symbolic links and volumes' paths are not followed; a volume is the place
 * that is known to be its own.
 */
export function sameSource(a: DiskSource, b: DiskSource): boolean {
  if (a.kind === 'volume' && b.named !== undefined) return identity(a) === identity(b.named);
  if (b.kind === 'volume' && a.named !== undefined) return identity(a.named) === identity(b);
  return identity(a) === identity(b);
}

function identity(source: DiskSource): string {
  switch (source.kind) {
    case 'file':
    case 'block':
      return JSON.stringify(['path', canonicalPath(source.path)]);
    case 'dir':
    case 'vhostuser':
    case 'vhostvdpa':
      return JSON.stringify([source.kind, canonicalPath(source.path)]);
    case 'network':
      return networkIdentity(source);
    case 'volume':
      return JSON.stringify(['volume', source.pool, source.volume]);
    case 'nvme':
      return JSON.stringify(['nvme', pciAddress(source), BigInt(source.namespace).toString()]);
    case 'other':
      return JSON.stringify(['other', source.type, source.xml]);
    default:
      return unreachable(source);
  }
}

// Purely lexical and exact under POSIX; '..' stays, because what it means depends on symbolic links.
function canonicalPath(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  return `${path.startsWith('/') ? '/' : ''}${parts.join('/')}`;
}

function networkIdentity(source: NetworkSource): string {
  const hosts = source.hosts.map((host) => {
    if (host.transport === 'unix') return JSON.stringify(['unix', canonicalPath(host.socket ?? '')]);
    const port = host.port ?? defaultPorts[source.protocol] ?? '';
    return JSON.stringify([host.transport ?? 'tcp', host.name?.toLowerCase() ?? '', port]);
  });
  return JSON.stringify([
    'network',
    source.protocol,
    source.name ?? '',
    source.snapshot ?? '',
    source.query ?? '',
    hosts.sort(),
    // The configuration file names the cluster only where no host does.
    hosts.length === 0 ? (source.config ?? '') : '',
  ]);
}

function pciAddress({ address }: NvmeSource): string {
  const hex = (value: string, width: number): string => BigInt(value).toString(16).padStart(width, '0');
  const { domain, bus, slot } = address;
  return `${hex(domain, 4)}:${hex(bus, 2)}:${hex(slot, 2)}.${hex(address.function, 1)}`;
}

/** A source's name for people: a path, `nbd://host:port/export`, `rbd:pool/image`, `pool:NAME/VOLUME`. */
export function describeSource(source: DiskSource): string {
  switch (source.kind) {
    case 'file':
    case 'block':
    case 'dir':
      return source.path;
    case 'network':
      return describeNetwork(source);
    case 'volume':
      return `pool:${source.pool}/${source.volume}`;
    case 'nvme':
      return `nvme://${pciAddress(source)}/${source.namespace}`;
    case 'vhostuser':
    case 'vhostvdpa':
      return `${source.kind}:${source.path}`;
    case 'other':
      return `${source.type} disk`;
    default:
      return unreachable(source);
  }
}

function describeNetwork(source: NetworkSource): string {
  const name = source.name ?? '';
  const snapshot = source.snapshot === undefined ? '' : `@${source.snapshot}`;
  if (source.protocol === 'rbd') return `rbd:${name}${snapshot}`;
  const host = source.hosts[0];
  const query = source.query === undefined ? '' : `?${source.query}`;
  const scheme = source.protocol === 'nbd' && source.tls === true ? 'nbds' : source.protocol;
  if (host?.transport === 'unix') {
    const socket = `?socket=${encodeReadably(host.socket ?? '')}`;
    return `${scheme}+unix:///${encodeReadably(name)}${socket}`;
  }
  const address = host?.name?.includes(':') === true ? `[${host.name}]` : (host?.name ?? '');
  const port = host?.port === undefined ? '' : `:${host.port}`;
  return `${scheme}://${address}${port}/${encodeReadably(name)}${snapshot}${query}`;
}

// Only what would end this part of a URI is encoded, so that names stay readable and the URI can be given back.
function encodeReadably(text: string): string {
  return text.replace(/[%?#&+\s]/g, (character) => encodeURIComponent(character));
}

function unreachable(value: never): never {
  throw new TypeError(`unexpected ${JSON.stringify(value)}`);
}
