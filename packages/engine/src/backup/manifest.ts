// A point's manifest as text and back. What comes back was written by any version of us, or by somebody's hand.
import type { Manifest, StoredDisk, StoredFile, StoredImage } from './model.ts';

export function formatManifest(manifest: Manifest): string {
  const text = JSON.stringify(
    { blockferry: 'backup', ...manifest },
    (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value),
    2,
  );
  return `${text}\n`;
}

/** A manifest that this version cannot read, or that says what none of ours says. */
export class ManifestUnreadable extends Error {
  override readonly name = 'ManifestUnreadable';
}

/** @throws ManifestUnreadable */
export function parseManifest(text: string): Manifest {
  const parsed = parseJson(text);
  const version = parsed.version;
  if (parsed.blockferry !== 'backup' || version !== 1) throw unreadable('it is of another version');
  const domain = objectOf(parsed.domain, 'domain');
  const optional = (name: string) =>
    parsed[name] === undefined ? {} : { [name]: pathless(textOf(parsed[name], name), name) };
  return {
    version,
    id: textOf(parsed.id, 'id'),
    set: textOf(parsed.set, 'set'),
    point: pathless(textOf(parsed.point, 'point'), 'point'),
    kind: kindOf(parsed.kind),
    ...optional('parent'),
    domain: { name: textOf(domain.name, 'domain.name'), uuid: textOf(domain.uuid, 'domain.uuid') },
    time: textOf(parsed.time, 'time'),
    running: parsed.running === true,
    quiesced: parsed.quiesced === true,
    ...optional('checkpoint'),
    disks: listOf(parsed.disks, 'disks').map(diskOf),
    files: listOf(parsed.files, 'files').map(fileOf),
    ...optional('nvram'),
    ...optional('tpm'),
  };
}

type Json = Readonly<Record<string, unknown>>;

function parseJson(text: string): Json {
  try {
    return objectOf(JSON.parse(text), 'the manifest');
  } catch (error) {
    if (error instanceof ManifestUnreadable) throw error;
    throw new ManifestUnreadable('the manifest cannot be read: it is not JSON', { cause: error });
  }
}

function diskOf(value: unknown): StoredDisk {
  const disk = objectOf(value, 'a disk');
  const [first, ...rest] = listOf(disk.images, 'images').map(imageOf);
  if (first === undefined) throw unreadable('a disk has no image');
  return {
    target: textOf(disk.target, 'target'),
    capacity: bytesOf(disk.capacity, 'capacity'),
    source: textOf(disk.source, 'source'),
    format: textOf(disk.format, 'format'),
    images: [first, ...rest],
  };
}

function imageOf(value: unknown): StoredImage {
  const image = objectOf(value, 'an image');
  const path = pathless(textOf(image.path, 'path'), 'path');
  const format = textOf(image.format, 'format');
  return { path, format, ...(image.secret !== undefined && { secret: uuidOf(image.secret, 'secret') }) };
}

/** It stands in definitions that we write. */
function uuidOf(value: unknown, what: string): string {
  const uuid = textOf(value, what);
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(uuid)) return uuid;
  throw unreadable(`${what} is no UUID`);
}

function fileOf(value: unknown): StoredFile {
  const file = objectOf(value, 'a file');
  const sha256 = textOf(file.sha256, 'sha256');
  if (!/^[0-9a-f]{64}$/.test(sha256)) throw unreadable('a sha256 is none');
  return { path: pathless(textOf(file.path, 'path'), 'path'), size: bytesOf(file.size, 'size'), sha256 };
}

/** A name that leads nowhere else: what is read, or removed, must stand in the point's own directory. */
function pathless(name: string, what: string): string {
  if (name === '' || name === '.' || name === '..' || name.includes('/'))
    throw unreadable(`${what} is a path`);
  return name;
}

function kindOf(value: unknown): Manifest['kind'] {
  if (value === 'full' || value === 'incremental') return value;
  throw unreadable('its kind is unknown');
}

function textOf(value: unknown, what: string): string {
  if (typeof value === 'string') return value;
  throw unreadable(`${what} is missing`);
}

function bytesOf(value: unknown, what: string): bigint {
  if (typeof value === 'string' && /^\d+$/.test(value)) return BigInt(value);
  throw unreadable(`${what} is no number of bytes`);
}

function objectOf(value: unknown, what: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  throw unreadable(`${what} is missing`);
}

function listOf(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw unreadable(`${what} is missing`);
}

function unreadable(why: string): ManifestUnreadable {
  return new ManifestUnreadable(`the manifest cannot be read: ${why}`);
}
