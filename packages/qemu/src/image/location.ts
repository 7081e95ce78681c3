// Where an image is, and which format it is declared to have.
import { formatExactJson, type JsonObject } from '../json/exact-json.ts';
import { unreachable } from '../unreachable.ts';
import type { Passphrase } from './passphrase.ts';

export type NbdServer = { readonly host: string; readonly port: number } | { readonly socket: string };

/** X.509 credentials of a TLS client, as qemu's tls-creds-x509 object takes them. */
export interface TlsCredentials {
  /** Directory with ca-cert.pem and, for client authentication, client-cert.pem and client-key.pem. */
  readonly directory: string;
  /** The name expected in the server's certificate, if it is not the host's. */
  readonly hostname?: string;
}

export interface FileLocation {
  readonly kind: 'file';
  /** Absolute. */
  readonly path: string;
}

export interface BlockLocation {
  readonly kind: 'block';
  /** Absolute path of a device node. */
  readonly path: string;
}

export interface NbdLocation {
  readonly kind: 'nbd';
  readonly server: NbdServer;
  /** Name of the export, '' being the server's default one. */
  readonly export: string;
  readonly tls?: TlsCredentials;
}

export interface RbdLocation {
  readonly kind: 'rbd';
  readonly pool: string;
  readonly image: string;
  readonly namespace?: string;
  readonly snapshot?: string;
  readonly user?: string;
  /** Path of a ceph.conf. */
  readonly conf?: string;
  /** Monitors, when no ceph.conf names them. */
  readonly monitors?: readonly { readonly host: string; readonly port: number }[];
}

export interface JsonLocation {
  readonly kind: 'json';
  /** A protocol node of QEMU that we have no better words for. */
  readonly blockdev: JsonObject;
}

export type Location = FileLocation | BlockLocation | NbdLocation | RbdLocation | JsonLocation;

/** An image as someone declared it: never probed, because a guest can write any header into a raw disk. */
export interface Image {
  readonly location: Location;
  /** QEMU's format driver: 'raw', 'qcow2', 'luks'… */
  readonly format: string;
  /** Raw only: the slice that starts here, in bytes. */
  readonly offset?: bigint;
  /** Raw only: the slice's length in bytes. */
  readonly size?: bigint;
  /** Opens an image in LUKS (qcow2, luks). Headers are read without it. */
  readonly passphrase?: Passphrase;
}

/** For people: a path, or a URI. */
export function formatLocation(location: Location): string {
  switch (location.kind) {
    case 'file':
    case 'block':
      return location.path;
    case 'nbd':
      return 'socket' in location.server
        ? `nbd+unix:///${location.export}?socket=${location.server.socket}`
        : `nbd://${formatHostPort(location.server)}/${location.export}`;
    case 'rbd': {
      const { pool, namespace, image, snapshot } = location;
      return `rbd:${pool}/${namespace ? `${namespace}/` : ''}${image}${snapshot ? `@${snapshot}` : ''}`;
    }
    case 'json':
      return `json:${formatExactJson(location.blockdev)}`;
    default:
      return unreachable(location);
  }
}

/** `host:port`, IPv6 addresses in brackets. */
export function formatHostPort({ host, port }: { host: string; port: number }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/**
 * Do both say the same place? Compares what they say, so two names of one file (symlinks, mounts) differ: compare
 * inodes where that matters. Credentials do not count.
 */
export function sameLocation(a: Location, b: Location): boolean {
  return identityOf(a) === identityOf(b);
}

function identityOf(location: Location): string {
  switch (location.kind) {
    case 'file':
    case 'block':
      return `path ${plainPath(location.path)}`;
    case 'nbd': {
      const { server } = location;
      const where = 'socket' in server ? plainPath(server.socket) : formatHostPort(server).toLowerCase();
      return `nbd ${where} ${location.export}`;
    }
    case 'rbd': {
      const { pool, namespace = '', image, snapshot = '' } = location;
      return `rbd ${JSON.stringify([pool, namespace, image, snapshot])}`;
    }
    case 'json':
      return `json ${formatExactJson(sortKeys(location.blockdev))}`;
    default:
      return unreachable(location);
  }
}

/** Repeated slashes and `/./` mean nothing; `..` does where there are symlinks, so it stays. */
function plainPath(path: string): string {
  return path.replace(/\/+(?:\.\/+)*/g, '/');
}

function sortKeys<T>(value: T): T {
  if (Array.isArray(value)) return value.map(sortKeys) as T;
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return Object.fromEntries(entries.map(([key, item]) => [key, sortKeys(item)])) as T;
}
