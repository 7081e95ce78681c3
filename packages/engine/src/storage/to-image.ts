// From libvirt's words for storage to QEMU's: a DiskSource with its declared format as an Image, and back.
import type { DiskSource, NetworkSource } from '@blockferry/libvirt';
import type { Image, Location, NbdServer } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import type { ImageRef } from '../model/record.ts';

/** @throws Refusal `unsupported-storage` for storage whose QEMU options cannot be told from the definition. */
export function toImage(ref: ImageRef): Image {
  return { location: toLocation(ref.source), format: ref.format };
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

function networkLocation(source: NetworkSource): Location {
  if (source.protocol === 'nbd') return { kind: 'nbd', server: nbdServer(source), export: source.name ?? '' };
  if (source.protocol === 'rbd') {
    const [pool = '', ...rest] = (source.name ?? '').split('/');
    const monitors = source.hosts.map((host) => ({ host: host.name ?? '', port: Number(host.port ?? 6789) }));
    return {
      kind: 'rbd',
      pool,
      image: rest.join('/'),
      ...(monitors.length > 0 && { monitors }),
      ...(source.config !== undefined && { conf: source.config }),
    };
  }
  throw unsupported(source.protocol);
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
