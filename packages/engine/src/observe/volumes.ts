// Where the volumes of libvirt's pools are on the host, so that everybody else reads of files and devices.
import { join } from 'node:path';
import {
  type Connection,
  type DiskSource,
  DomainXml,
  isLibvirtError,
  poolTarget,
  type VolumeSource,
  volumesOf,
} from '@blockferry/libvirt';

/** The pools whose volumes are files, and those whose volumes are block devices; others' are in the network. */
const FILES = ['dir', 'fs', 'netfs', 'vstorage'];
const DEVICES = ['logical', 'disk', 'iscsi', 'scsi', 'mpath', 'zfs'];

/**
 * Parses a definition, with the places of the volumes that it names (`<disk type='volume'>`). A volume whose place libvirt does
 * not tell, for its pool is not active or keeps volumes in the network, stays a name.
 *
 * @throws what a connection throws that ends
 */
export async function readDefinition(connection: Connection, text: string): Promise<DomainXml> {
  const xml = DomainXml.parse(text);
  const places = new Map<string, DiskSource>();
  for (const source of xml.disks().flatMap(volumesOf)) {
    if (places.has(nameOf(source))) continue;
    try {
      places.set(nameOf(source), await placeOf(connection, source));
    } catch (error) {
      if (!isLibvirtError(error)) throw error;
    }
  }
  if (places.size > 0) xml.placeVolumes((source) => places.get(nameOf(source)));
  return xml;
}

function nameOf({ pool, volume, mode = '' }: VolumeSource): string {
  return JSON.stringify([pool, volume, mode]);
}

/** Where a volume of a pool is; every other source, and a volume in the network, as it is. @throws LibvirtError */
export async function placeOf(connection: Connection, source: DiskSource): Promise<DiskSource> {
  if (source.kind !== 'volume') return source;
  const pool = await connection.lookupStoragePoolByName(source.pool);
  const volume = await pool.lookupVolumeByName(source.volume);
  const [path, { type }] = await Promise.all([volume.getPath(), pool.getXmlDesc().then(poolTarget)]);
  if (FILES.includes(type)) return { kind: 'file', path };
  // A target that QEMU opens itself.
  if (!DEVICES.includes(type) || source.mode === 'direct') return source;
  return { kind: 'block', path };
}

/**
 * The same of what no running domain has: libvirt tells nothing of the volumes of a pool that is not active, and in one that is a
 * directory they are the files that it will find there. (What a pool mounts, or has in the network, is not known before it does.)
 *
 * @throws LibvirtError
 */
export async function placeOnceActive(connection: Connection, source: DiskSource): Promise<DiskSource> {
  try {
    return await placeOf(connection, source);
  } catch (error) {
    if (!isLibvirtError(error) || source.kind !== 'volume') throw error;
    const pool = await connection.lookupStoragePoolByName(source.pool);
    const { type, path } = poolTarget(await pool.getXmlDesc());
    if ((await pool.isActive()) || type !== 'dir' || path === undefined) throw error;
    return { kind: 'file', path: join(path, source.volume) };
  }
}

/**
 * A migration's record knows its images by their places only: a volume that cannot be looked up now is not to be taken for
 * another image than its own.
 *
 * @param disks target devs
 * @throws LibvirtError why it cannot: its pool is not active
 */
export async function mustBePlaced(
  connection: Connection,
  definitions: { readonly live: DomainXml | undefined; readonly config: DomainXml | undefined } | undefined,
  disks: readonly string[],
): Promise<void> {
  const named = [definitions?.live, definitions?.config].flatMap((xml) =>
    disks.map((disk) => xml?.disk(disk)),
  );
  const volumes = named.flatMap((disk) => (disk === undefined ? [] : volumesOf(disk)));
  for (const source of volumes) await placeOf(connection, source);
}
