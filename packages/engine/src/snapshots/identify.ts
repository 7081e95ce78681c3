// Tells whether two names are of one image: the metadata of an old snapshot may name it by a link or as a volume.
import {
  type Connection,
  type DiskSource,
  isLibvirtError,
  SnapshotXml,
  sameSource,
} from '@blockferry/libvirt';
import type { Host } from '@blockferry/qemu';
import { fileKeys, pathOf } from '../observe/file-key.ts';
import { placeOf } from '../observe/volumes.ts';
import type { SameImage } from './fate.ts';
import type { ImageMove } from './image-move.ts';

/**
 * Looks up, once, what every image named in `xmls` and in `moves` is. Without `host`, or for a file that is gone, the
 * names alone are compared, as they are for a volume that libvirt does not know any more.
 *
 * @throws HostError when the storage hangs
 */
export async function identify(
  connection: Connection,
  host: Host | undefined,
  xmls: readonly string[],
  moves: readonly ImageMove[],
): Promise<SameImage> {
  const named = xmls.flatMap((xml) =>
    SnapshotXml.parse(xml)
      .images()
      .map(({ source }) => source),
  );
  const places = new Map<string, DiskSource>();
  for (const source of named) {
    const name = nameOf(source);
    if (name !== undefined && !places.has(name)) places.set(name, await placeOfKnown(connection, source));
  }
  const place = (source: DiskSource) => places.get(nameOf(source) ?? '') ?? source;
  // What cannot be looked at is the same by its name only.
  const all = [...named.map(place), ...moves.map(({ from }) => from.source)];
  const keys = host === undefined ? new Map<string, string>() : await fileKeys(host, all, () => {});
  const keyOf = (source: DiskSource) => keys.get(pathOf(source) ?? '');
  return (a, b) => {
    const [left, right] = [place(a), place(b)];
    const key = keyOf(left);
    return sameSource(left, right) || (key !== undefined && key === keyOf(right));
  };
}

/** Of a volume; everything else is its own place. */
function nameOf(source: DiskSource): string | undefined {
  return source.kind === 'volume' ? JSON.stringify([source.pool, source.volume]) : undefined;
}

async function placeOfKnown(connection: Connection, source: DiskSource): Promise<DiskSource> {
  try {
    return await placeOf(connection, source);
  } catch (error) {
    if (isLibvirtError(error)) return source;
    throw error;
  }
}
