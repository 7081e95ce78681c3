// The checkpoints that backups of one directory made: found by their names, which nobody else gives.
import {
  type Domain,
  type DomainCheckpoint,
  DomainCheckpointDeleteFlags,
  ErrorCode,
  isLibvirtError,
} from '@blockferry/libvirt';
import { messageOf } from '../model/errors.ts';
import { checkpointsOf } from '../observe/checkpoints.ts';

const PREFIX = 'blockferry';

/** The name has the set of the directory in it, and the backup, and the try: none is ever used twice. */
export function checkpointName(set: string, id: string, attempt: number): string {
  return `${PREFIX}-${set}-${id}-${attempt}`;
}

/** Is it a name of any directory's backups? */
export function isCheckpointOfOurs(name: string): boolean {
  return /^blockferry-[0-9a-f]{8}-[0-9a-f]{8}-\d+$/.test(name);
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

/** As far as we look at a node of QEMU's (query-named-block-nodes). */
interface BlockNode {
  readonly drv: string;
  readonly file: string;
  readonly 'dirty-bitmaps'?: readonly { readonly name: string; readonly inconsistent?: boolean }[];
}

/**
 * The names of the bitmaps that QEMU keeps for the active image at `path`, those left out that it found broken.
 *
 * @returns undefined where it has no such image open
 */
export async function wholeBitmaps(domain: Domain, path: string): Promise<readonly string[] | undefined> {
  const query = { execute: 'query-named-block-nodes', arguments: { flat: true } };
  const nodes = (await domain.monitorCommand(query)) as readonly BlockNode[];
  const active = nodes.find(({ drv, file }) => drv === 'qcow2' && file === path);
  if (active === undefined) return undefined;
  const bitmaps = active['dirty-bitmaps'] ?? [];
  return bitmaps.filter(({ inconsistent }) => inconsistent !== true).map(({ name }) => name);
}

/**
 * Deletes the checkpoint of a backup that was not made; what it recorded is given to the one before. One whose bitmap went with
 * QEMU is forgotten alone, for libvirt deletes none without: the bitmaps of those before it, on the same image, went as well, so
 * that nothing can be counted through it. If none of them did, libvirtd died when the bitmap was given away already, or was not
 * made yet.
 *
 * @param images paths of the active images
 * @returns why it could not be deleted
 */
export async function deleteOrForget(
  checkpoint: DomainCheckpoint,
  domain: Domain,
  images: readonly string[],
): Promise<string | undefined> {
  const why = await deleted(checkpoint);
  if (why === undefined) return undefined;
  for (const path of images) {
    if ((await wholeBitmaps(domain, path))?.includes(checkpoint.name) !== false) return why;
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
