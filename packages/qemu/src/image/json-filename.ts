// `json:{…}` names as QEMU and libvirt write them into image headers, nested or with dotted keys, back to images.
import { type ExactJson, isJsonObject, type JsonObject, parseExactJson } from '../json/exact-json.ts';
import type { Image, Location, NbdServer } from './location.ts';
import { parseImageUri, UnknownImageName } from './uri.ts';

/** What a `json:` name says: a place, and a format unless it names a protocol node only. */
export interface ParsedJsonFilename {
  readonly location: Location;
  readonly format?: string;
  readonly offset?: bigint;
  readonly size?: bigint;
}

/** Drivers that stand for a place; everything else with a `file` child is a format. */
const PROTOCOLS: ReadonlySet<string> = new Set([
  'file',
  'host_device',
  'host_cdrom',
  'nbd',
  'rbd',
  'iscsi',
  'ssh',
  'nfs',
  'http',
  'https',
  'ftp',
  'ftps',
  'gluster',
  'nvme',
  'null-co',
  'null-aio',
  'vvfat',
  'vhdx-remote',
  'io_uring',
  'nvme-io_uring',
  'virtio-blk-vhost-vdpa',
]);

/** Parses `json:{…}`; throws UnknownImageName when it is malformed. */
export function parseJsonFilename(name: string): ParsedJsonFilename {
  const options = parseOptions(name);
  const { driver, file } = options;
  if (typeof driver === 'string' && !PROTOCOLS.has(driver)) return parseFormatNode(name, driver, options);
  // Older libvirt wrote {"file": {...}} without a format of its own.
  if (driver === undefined && isJsonObject(file)) return { location: parseProtocolNode(file) };
  return { location: parseProtocolNode(options) };
}

function parseOptions(name: string): JsonObject {
  let parsed: ExactJson;
  try {
    parsed = parseExactJson(name.slice('json:'.length));
  } catch (error) {
    if (error instanceof SyntaxError) throw new UnknownImageName(name, `malformed JSON: ${error.message}`);
    throw error;
  }
  if (!isJsonObject(parsed)) throw new UnknownImageName(name, 'not a JSON object');
  return nestDottedKeys(name, parsed);
}

/** `{"file.driver": "x"}` means `{"file": {"driver": "x"}}`; `server.0.host` means a list. */
function nestDottedKeys(name: string, flat: JsonObject): JsonObject {
  const nested: { [key: string]: ExactJson } = {};
  const groups = new Map<string, { [key: string]: ExactJson }>();
  for (const [key, value] of Object.entries(flat)) {
    const dot = key.indexOf('.');
    if (dot < 0) nested[key] = isJsonObject(value) ? nestDottedKeys(name, value) : value;
    else {
      const group = groups.get(key.slice(0, dot)) ?? {};
      group[key.slice(dot + 1)] = value;
      groups.set(key.slice(0, dot), group);
    }
  }
  for (const [key, group] of groups) {
    if (key in nested) throw new UnknownImageName(name, `'${key}' is given twice`);
    const inner = nestDottedKeys(name, group);
    nested[key] = Object.keys(inner).every((index, at) => index === String(at))
      ? Object.values(inner)
      : inner;
  }
  return nested;
}

function parseFormatNode(name: string, driver: string, options: JsonObject): ParsedJsonFilename {
  const { file, offset, size } = options;
  if (!isJsonObject(file)) throw new UnknownImageName(name, `${driver} without a "file" described in place`);
  if (typeof file.driver === 'string' && !PROTOCOLS.has(file.driver)) {
    // A format upon a format (raw upon luks, say): QEMU can open it, we only pass it on.
    return { format: driver, location: { kind: 'json', blockdev: file } };
  }
  return {
    format: driver,
    location: parseProtocolNode(file),
    ...(driver === 'raw' && offset !== undefined ? { offset: toBigInt(name, offset) } : {}),
    ...(driver === 'raw' && size !== undefined ? { size: toBigInt(name, size) } : {}),
  };
}

function toBigInt(name: string, value: ExactJson): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'string' && /^\d+$/.test(value)) return BigInt(value);
  throw new UnknownImageName(name, 'a size that is no number');
}

function parseProtocolNode(node: JsonObject): Location {
  const { driver, filename } = node;
  if (typeof filename === 'string' && filename.startsWith('/')) {
    if (driver === 'host_device') return { kind: 'block', path: filename };
    if (driver === 'file' || driver === undefined) return { kind: 'file', path: filename };
  }
  if (driver === undefined && typeof filename === 'string') {
    const location = parseImageUri(filename);
    if (location) return location;
  }
  return parseNbdNode(node) ?? parseRbdNode(node) ?? { kind: 'json', blockdev: node };
}

function hasOnly(node: JsonObject, keys: readonly string[]): boolean {
  return Object.keys(node).every((key) => keys.includes(key));
}

function parseNbdNode(node: JsonObject): Location | null {
  if (node.driver !== 'nbd') return null;
  const { server, export: exportName = '' } = node;
  if (typeof exportName !== 'string') return null;
  if (isJsonObject(server) && hasOnly(node, ['driver', 'server', 'export'])) {
    const address = parseNbdServer(server);
    return address && { kind: 'nbd', server: address, export: exportName };
  }
  if (!hasOnly(node, ['driver', 'host', 'port', 'path', 'export'])) return null;
  const { host, port = '10809', path } = node;
  const address = parseNbdServer(path === undefined ? { type: 'inet', host, port } : { type: 'unix', path });
  return address && { kind: 'nbd', server: address, export: exportName };
}

function parseNbdServer(server: { [key: string]: ExactJson | undefined }): NbdServer | null {
  const { type, path, host, port } = server;
  if (type === 'unix' && typeof path === 'string') return { socket: path };
  if (type !== 'inet' || typeof host !== 'string') return null;
  const number = Number(port);
  return Number.isInteger(number) && number > 0 && number < 65536 ? { host, port: number } : null;
}

function parseRbdNode(node: JsonObject): Location | null {
  const { driver, pool, image, ...rest } = node;
  if (driver !== 'rbd' || typeof pool !== 'string' || typeof image !== 'string') return null;
  const { server, ...texts } = rest;
  if (!hasOnly(texts, ['namespace', 'snapshot', 'user', 'conf'])) return null;
  if (Object.values(texts).some((value) => typeof value !== 'string')) return null;
  const monitors = server === undefined ? undefined : parseMonitors(server);
  if (monitors === null) return null;
  return {
    kind: 'rbd',
    pool,
    image,
    ...(texts as { [key: string]: string }),
    ...(monitors ? { monitors } : {}),
  };
}

function parseMonitors(server: ExactJson): { host: string; port: number }[] | null {
  if (!Array.isArray(server)) return null;
  const monitors: { host: string; port: number }[] = [];
  for (const monitor of server as readonly ExactJson[]) {
    if (!isJsonObject(monitor) || typeof monitor.host !== 'string') return null;
    monitors.push({ host: monitor.host, port: Number(monitor.port ?? 6789) });
  }
  return monitors;
}

/** An image from what a `json:` name says and the format declared beside it. Null when no format is known. */
export function imageFromJson(parsed: ParsedJsonFilename, declaredFormat: string | undefined): Image | null {
  const format = parsed.format ?? declaredFormat;
  return format === undefined ? null : { ...parsed, format };
}
