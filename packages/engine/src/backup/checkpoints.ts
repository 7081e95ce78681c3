// The checkpoints that backups of one directory made: found by their names, which nobody else gives.
import {
  type Domain,
  type DomainCheckpoint,
  DomainCheckpointDeleteFlags,
  ErrorCode,
  isLibvirtError,
} from '@blockferry/libvirt';
import { messageOf } from '../model/errors.ts';

const PREFIX = 'blockferry';

/** The name has the set of the directory in it, and the backup, and the try: none is ever used twice. */
export function checkpointName(set: string, id: string, attempt: number): string {
  return `${PREFIX}-${set}-${id}-${attempt}`;
}

/** Is it a name of any directory's backups? */
export function isCheckpointOfOurs(name: string): boolean {
  return /^blockferry-[0-9a-f]{8}-[0-9a-f]{8}-\d+$/.test(name);
}

/** @returns none for daemons that do not know checkpoints (before libvirt 5.6) */
export async function checkpointsOf(domain: Domain): Promise<readonly DomainCheckpoint[]> {
  try {
    return await domain.listAllCheckpoints();
  } catch (error) {
    const unknown = [ErrorCode.NO_SUPPORT, ErrorCode.RPC];
    if (unknown.some((code) => isLibvirtError(error, code))) return [];
    throw error;
  }
}

/**
 * Deletes the checkpoints of a set that no later backup needs: all but one. Deleting one merges its bitmap into the one
 * before it, whosever that is, so that what others count from theirs stays right. May be repeated.
 *
 * @returns why those could not be deleted that stay
 */
export async function deleteOthers(
  domain: Domain,
  set: string,
  keep: string | undefined,
): Promise<readonly string[]> {
  const stay: string[] = [];
  for (const checkpoint of await checkpointsOf(domain)) {
    const { name } = checkpoint;
    if (name === keep || !name.startsWith(`${PREFIX}-${set}-`)) continue;
    const why = (await deleted(checkpoint)) && (await forgotten(checkpoint, set, keep));
    if (why !== undefined) stay.push(`${name}: ${why}`);
  }
  return stay;
}

/**
 * libvirt deletes no checkpoint whose bitmap is broken, as all are when QEMU was killed. It is forgotten alone where no
 * checkpoint that anybody needs is before it: what is counted from such a one would lack what this one recorded, and nobody
 * would notice.
 */
async function forgotten(
  checkpoint: DomainCheckpoint,
  set: string,
  keep: string | undefined,
): Promise<string | undefined> {
  for (let before = await checkpoint.parent(); before !== null; before = await before.parent()) {
    const isNeeded = before.name === keep || !before.name.startsWith(`${PREFIX}-${set}-`);
    if (isNeeded) return `its bitmap is broken, and ${before.name} is counted through it`;
  }
  return deleted(checkpoint, DomainCheckpointDeleteFlags.METADATA_ONLY);
}

/** Undefined: it is gone. @throws what is no word of libvirt's on it */
export async function deleted(checkpoint: DomainCheckpoint, flags = 0): Promise<string | undefined> {
  try {
    await checkpoint.delete(flags);
    return undefined;
  } catch (error) {
    if (isLibvirtError(error, ErrorCode.NO_DOMAIN_CHECKPOINT)) return undefined;
    if (isLibvirtError(error)) return messageOf(error);
    throw error;
  }
}
