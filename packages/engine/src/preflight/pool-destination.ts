// A volume of a libvirt pool as destination: made through libvirt, so it works over any connection.
import { join } from 'node:path';
import {
  type Connection,
  type DiskSource,
  ErrorCode,
  isLibvirtError,
  type PoolTarget,
  poolTarget,
  type StoragePool,
} from '@blockferry/libvirt';
import { quoteArgument } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import type { Ownership } from '../model/record.ts';
import { formatBytes } from '../model/sizes.ts';
import type { Destination } from './destination.ts';
import { lookAt } from './look.ts';
import type { MoveRequest } from './request.ts';
import type { Situation } from './situation.ts';
import { bytesToCopy } from './size.ts';
import { sharedBacking, sourceFormat } from './source-image.ts';

/** @throws Refusal */
export async function inPool(
  situation: Situation,
  request: MoveRequest,
  poolName: string,
  volume: string,
): Promise<Destination> {
  const { connection, host, capacity } = situation;
  const pool = await findPool(connection, poolName);
  const { path, files } = storageOf(poolTarget(await pool.getXmlDesc()), volume);
  const exists = await hasVolume(pool, volume);
  const stat = host === undefined ? undefined : await lookAt(host, path);
  if (!request.reuseExternal) mustBeNew(poolName, volume, exists, stat);
  if (!exists) await mustHaveRoom(pool, situation, request);
  const format = request.format ?? (files ? sourceFormat(situation) : 'raw');
  // What a pool makes of a device may be larger than what was asked for: a volume group rounds up to its extents.
  const slices = !files && !exists && format === 'raw' ? [{ offset: 0n, size: capacity }] : undefined;
  const source: DiskSource = { kind: files ? 'file' : 'block', path, ...(slices && { slices }) };
  const ownership = exists ? { kind: 'reused' as const } : made(situation, request, poolName, volume);
  return { image: { source, format }, ownership, stat };
}

/** @throws Refusal `no-such-pool`, `pool-inactive` */
export async function findPool(connection: Connection, name: string): Promise<StoragePool> {
  const pool = await connection.lookupStoragePoolByName(name).catch((error: unknown) => {
    if (!isLibvirtError(error, ErrorCode.NO_STORAGE_POOL)) throw error;
    const hint = 'virsh pool-list --all shows the pools';
    throw new Refusal('no-such-pool', `there is no storage pool ${name}`, { pool: name }, hint, {
      cause: error,
    });
  });
  if (await pool.isActive()) return pool;
  throw new Refusal(
    'pool-inactive',
    `the storage pool ${name} is not active`,
    { pool: name },
    `start it: virsh pool-start ${quoteArgument(name)}`,
  );
}

/** The pools whose volumes have a path on the host that is known before they are made. */
function storageOf({ type, path }: PoolTarget, volume: string): { path: string; files: boolean } {
  const files = type === 'dir' || type === 'fs' || type === 'netfs';
  if (path === undefined || !(files || type === 'logical')) {
    throw new Refusal('unsupported-storage', `pools of type ${type} are not supported yet`, { type });
  }
  return { path: join(path, volume), files };
}

async function hasVolume(pool: StoragePool, name: string): Promise<boolean> {
  try {
    await pool.lookupVolumeByName(name);
    return true;
  } catch (error) {
    if (isLibvirtError(error, ErrorCode.NO_STORAGE_VOL)) return false;
    throw error;
  }
}

function mustBeNew(pool: string, volume: string, exists: boolean, stat: Destination['stat']): void {
  if (exists) {
    throw new Refusal(
      'destination-exists',
      `the pool ${pool} has a volume ${volume} already`,
      { pool, volume },
      'choose another name, or give --reuse-external to use it as it is',
    );
  }
  if (stat === null || stat === undefined) return;
  throw new Refusal(
    'destination-exists',
    `a file ${volume} stands in the pool ${pool}, though libvirt has not seen it yet`,
    { pool, volume },
    `choose another name; virsh pool-refresh ${quoteArgument(pool)} makes it a volume`,
  );
}

async function mustHaveRoom(pool: StoragePool, situation: Situation, { scope }: MoveRequest): Promise<void> {
  const need = bytesToCopy(situation, scope);
  const { available } = await pool.info();
  // libvirt's figure is that of the last refresh: only where we cannot look ourselves is there no better one.
  if (situation.host !== undefined || need <= available) return;
  throw new Refusal(
    'destination-too-small',
    `the copy needs ${formatBytes(need)}, and the pool ${pool.name} has ${formatBytes(available)} free`,
    { need, have: available },
    'make room there, or choose another destination',
  );
}

function made(situation: Situation, { scope }: MoveRequest, pool: string, volume: string): Ownership {
  const { capacity } = situation;
  const below = scope === 'shallow' ? sharedBacking(situation) : undefined;
  if (below === undefined) return { kind: 'volume', pool, volume, capacity };
  const { source, format } = below;
  if (source.kind !== 'file' && source.kind !== 'block')
    throw new Refusal('unsupported-storage', 'libvirt cannot make a volume whose backing image is no file');
  return { kind: 'volume', pool, volume, capacity, backing: { path: source.path, format } };
}
