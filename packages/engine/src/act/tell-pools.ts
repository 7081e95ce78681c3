// Has libvirt look at the pools in whose directories a move has made files, or removed some.
import { dirname } from 'node:path';
import { type Connection, type DiskSource, LibvirtError, poolTarget } from '@blockferry/libvirt';
import { quoteArgument } from '@blockferry/qemu';
import type { Outcome } from '../model/decision.ts';
import { messageOf } from '../model/errors.ts';
import type { MoveRecord } from '../model/record.ts';
import type { Scene } from './act.ts';

/** VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE */
const ACTIVE = 2;

/**
 * libvirt finds the files that stand in the directory of a pool, or are gone from it, when it looks at it the next time
 * (virStoragePoolRefresh). A pool that cannot be refreshed is no reason to leave the move open; one that was not named is
 * nothing to speak of either.
 */
export async function tellPools(
  { context, move, warn }: Pick<Scene, 'context' | 'move' | 'warn'>,
  outcome: Outcome,
): Promise<void> {
  const connection = await context.link.connection();
  const named = move.ownership.kind === 'created' ? move.ownership.pool : undefined;
  for (const pool of await poolsOf(connection, named, directoriesOf(move, outcome))) {
    try {
      await (await connection.lookupStoragePoolByName(pool)).refresh();
    } catch (error) {
      if (!(error instanceof LibvirtError)) throw error;
      if (pool !== named) continue;
      const hint = `virsh pool-refresh ${quoteArgument(pool)}`;
      warn('pool-not-refreshed', `libvirt does not know the volume yet (${messageOf(error)}): ${hint}`);
    }
  }
}

/** Where a move that has succeeded has made or removed files. */
function directoriesOf({ destination, ownership, options, sources }: MoveRecord, outcome: Outcome): string[] {
  if (outcome.kind !== 'moved') return [];
  const images = [
    ...(ownership.kind === 'created' ? [destination] : []),
    ...(options.deleteSource ? sources : []),
  ];
  const directoryOf = (source: DiskSource) => (source.kind === 'file' ? [dirname(source.path)] : []);
  return images.flatMap(({ source }) => directoryOf(source));
}

/** By their directories as libvirt spells them. A daemon without storage has none. */
async function poolsOf(
  connection: Connection,
  named: string | undefined,
  directories: readonly string[],
): Promise<readonly string[]> {
  const found = new Set(named === undefined ? [] : [named]);
  if (directories.length === 0) return [...found];
  try {
    for (const pool of await connection.listAllStoragePools(ACTIVE)) {
      const { type, path } = poolTarget(await pool.getXmlDesc());
      const holdsFiles = type === 'dir' || type === 'fs' || type === 'netfs';
      if (holdsFiles && path !== undefined && directories.includes(path)) found.add(pool.name);
    }
  } catch (error) {
    if (!(error instanceof LibvirtError)) throw error;
  }
  return [...found];
}
