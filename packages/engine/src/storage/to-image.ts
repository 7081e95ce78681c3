// From libvirt's words for storage to QEMU's: a DiskSource with its declared format as an Image, and back.
import type { DiskSource, NetworkSource, StorageSlice } from '@blockferry/libvirt';
import type { Image, Location, NbdServer } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import type { ImageRef } from '../model/record.ts';
import { DEFAULT_TLS_DIRECTORY } from './tls-credentials.ts';

/**
 * A raw image's slice comes along: the guest sees those bytes only.
 *
 * @throws Refusal `unsupported-storage` for storage whose QEMU options cannot be told from the definition.
 */
export function toImage({ source, format }: ImageRef): Image {
  const image = { location: toLocation(source), format: encryptedAs(source, format) };
  const [slice, ...more] = slicesOf(source);
  if (slice === undefined) return image;
  // Below a format with headers of its own, QEMU needs a node more than our images have.
  if (more.length > 0 || image.format !== 'raw') throw unsupported(`${format} in a slice`);
  return { ...image, offset: slice.offset, size: slice.size };
}

/** To libvirt, LUKS is a property of an image; to QEMU, raw in LUKS is a format. */
export function encryptedAs({ encryption }: Pick<DiskSource, 'encryption'>, format: string): string {
  return format === 'raw' && encryption !== undefined ? 'luks' : format;
}

/** The other way round; an <encryption> is forgotten. @throws Refusal `unsupported-storage` for a location that libvirt's XML has no words for. */
export function toRef({ location, format: opened, offset, size }: Image): ImageRef {
  const source = toSource(location);
  const format = opened === 'luks' ? 'raw' : opened;
  if (size === undefined) return { source, format };
  return { source: { ...source, slices: [{ offset: offset ?? 0n, size }] }, format };
}

function slicesOf(source: DiskSource): readonly StorageSlice[] {
  return source.kind === 'other' ? [] : (source.slices ?? []);
}

export function toLocation(source: DiskSource): Location {
  switch (source.kind) {
    case 'file':
      return { kind: 'file', path: source.path };
    case 'block':
      return { kind: 'block', path: source.path };
    case 'network':
      return networkLocation(source);
    case 'dir':
    case 'volume':
    case 'nvme':
    case 'vhostuser':
    case 'vhostvdpa':
    case 'other':
      throw unsupported(source.kind);
  }
}

function networkLocation(source: DiskSource & NetworkSource): Location {
  if (source.protocol === 'nbd') {
    const { tlsHostname } = source;
    const tls = {
      directory: DEFAULT_TLS_DIRECTORY,
      ...(tlsHostname !== undefined && { hostname: tlsHostname }),
    };
    return {
      kind: 'nbd',
      server: nbdServer(source),
      export: source.name ?? '',
      ...(source.tls === true && { tls }),
    };
  }
  if (source.protocol === 'rbd') {
    const [pool = '', ...rest] = (source.name ?? '').split('/');
    const monitors = source.hosts.map((host) => ({ host: host.name ?? '', port: Number(host.port ?? 6789) }));
    return {
      kind: 'rbd',
      pool,
      image: rest.join('/'),
      ...(monitors.length > 0 && { monitors }),
      ...userOf(source.auth),
      ...(source.config !== undefined && { conf: source.config }),
      ...(source.snapshot !== undefined && { snapshot: source.snapshot }),
    };
  }
  throw unsupported(source.protocol);
}

/** The user's key is not in the definition: our own looks find it where Ceph's programs do (a keyring). */
function userOf(auth: string | undefined): { readonly user?: string } {
  const [, , user] = /username=(['"])(.*?)\1/.exec(auth ?? '') ?? [];
  return user === undefined ? {} : { user };
}

function nbdServer(source: NetworkSource): NbdServer {
  const host = source.hosts[0];
  if (host?.transport === 'unix') return { socket: host.socket ?? '' };
  return { host: host?.name ?? 'localhost', port: Number(host?.port ?? 10809) };
}

/** @throws Refusal `unsupported-storage` for a location that libvirt's XML has no words for. */
export function toSource(location: Location): DiskSource {
  switch (location.kind) {
    case 'file':
    case 'block':
      return { kind: location.kind, path: location.path };
    case 'nbd':
      return {
        kind: 'network',
        protocol: 'nbd',
        name: location.export,
        hosts: [
          'socket' in location.server
            ? { transport: 'unix', socket: location.server.socket }
            : { name: location.server.host, port: String(location.server.port) },
        ],
        ...(location.tls && { tls: true }),
        ...(location.tls?.hostname && { tlsHostname: location.tls.hostname }),
      };
    case 'rbd':
      if (location.namespace !== undefined) throw unsupported('a namespace of an RBD pool');
      return {
        kind: 'network',
        protocol: 'rbd',
        name: `${location.pool}/${location.image}`,
        hosts: (location.monitors ?? []).map(({ host, port }) => ({ name: host, port: String(port) })),
        ...(location.conf !== undefined && { config: location.conf }),
        ...(location.snapshot !== undefined && { snapshot: location.snapshot }),
      };
    case 'json':
      throw unsupported('json:');
  }
}

function unsupported(what: string): Refusal {
  return new Refusal('unsupported-storage', `storage of kind ${what} cannot be handled yet`, { kind: what });
}
