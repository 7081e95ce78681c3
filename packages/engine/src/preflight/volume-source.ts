// A disk whose definition names it as a volume of a pool: libvirt must tell where that is, and rightly.
import {
  type Connection,
  type DiskDefinition,
  describeSource,
  ErrorCode,
  isLibvirtError,
  type VolumeSource,
  volumesOf,
} from '@blockferry/libvirt';
import { quoteArgument } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import type { Bytes } from '../model/units.ts';
import type { Definitions } from '../observe/definitions.ts';
import { pathOf } from '../observe/file-key.ts';
import { findPool } from './pool-destination.ts';

/** @throws Refusal `no-such-pool`, `pool-inactive`, `no-such-image`, `unsupported-storage`, `volume-elsewhere` */
export async function mustKnowVolumes(
  connection: Connection,
  { domain, running }: Pick<Definitions, 'domain' | 'running'>,
  disk: DiskDefinition,
): Promise<void> {
  for (const volume of volumesOf(disk)) throw await notPlaced(connection, disk, volume);
  const path = disk.source && pathOf(disk.source);
  const named = disk.source?.named;
  if (named === undefined || path === undefined || !running) return;
  try {
    // libvirt knows a running disk by the path that it found when it started it (qemuDomainGetBlockInfo).
    await domain.blockInfo(path);
  } catch (error) {
    if (!isLibvirtError(error, ErrorCode.INVALID_ARG)) throw error;
    const name = describeSource(named);
    throw new Refusal(
      'volume-elsewhere',
      `${name} is ${path} now, and ${domain.name} started with another file as ${disk.target}`,
      { disk: disk.target, volume: name, path },
      `the pool was changed since: put it back, or start the domain anew (virsh pool-dumpxml ${quoteArgument(named.pool)})`,
    );
  }
}

/** As libvirt tells it: of a domain that is off it reads no volume by way of the disk ("missing storage backend", 9.0). */
export async function capacityOf(
  connection: Connection,
  { domain, running }: Pick<Definitions, 'domain' | 'running'>,
  { target, source }: DiskDefinition,
): Promise<Bytes> {
  const named = source?.named;
  if (running || named === undefined) return (await domain.blockInfo(target)).capacity;
  const pool = await connection.lookupStoragePoolByName(named.pool);
  return (await (await pool.lookupVolumeByName(named.volume)).info()).capacity;
}

/** Why libvirt does not tell where it is. */
async function notPlaced(
  connection: Connection,
  { target }: DiskDefinition,
  source: VolumeSource,
): Promise<Refusal> {
  const { pool: name, volume } = source;
  const facts = { disk: target, pool: name, volume };
  const pool = await findPool(connection, name);
  try {
    await pool.lookupVolumeByName(volume);
  } catch (error) {
    if (!isLibvirtError(error, ErrorCode.NO_STORAGE_VOL)) throw error;
    const hint = `have libvirt look: virsh pool-refresh ${quoteArgument(name)}`;
    const why = `${target} is the volume ${volume} of pool ${name}, which libvirt does not see there`;
    return new Refusal('no-such-image', why, facts, hint, { cause: error });
  }
  return new Refusal(
    'unsupported-storage',
    `${target} is a volume of pool ${name}, whose storage is in the network: by that name it cannot be handled yet`,
    facts,
    "name it as <disk type='network'>, with the domain off",
  );
}
