// Looks at the destination itself: is it there, is it the one we made, does it answer?
import { type Connection, ErrorCode, isLibvirtError } from '@blockferry/libvirt';
import { type FileStat, lookAtRbd, probeDestination } from '@blockferry/qemu';
import type { MoveRecord, Ownership } from '../model/record.ts';
import { unreachable } from '../model/units.ts';
import type { Job, World } from '../model/world.ts';
import type { Journal } from '../record/journal.ts';
import type { Context } from '../run/context.ts';
import { toOpenableImage } from '../storage/tls-credentials.ts';
import { toLocation } from '../storage/to-image.ts';
import { isHang } from './hang.ts';
import type { Memory } from './memory.ts';

/** Storage that does not answer within this time would stop the guest for as long if it were pivoted onto it. */
const ANSWER_WITHIN_MS = 3_000;

export async function lookAtDestination(
  context: Context,
  connection: Connection,
  move: MoveRecord,
  journal: Journal | undefined,
  job: Job,
  memory: Memory,
): Promise<World['destination']> {
  // While it copies, QEMU has it open and nothing is decided by its name.
  if (job.kind === 'ours' && job.state !== 'ready') return 'unknown';
  if (move.ownership.kind === 'volume') return lookAtVolume(context, connection, move, memory);
  if (move.ownership.kind === 'rbd-image') return lookAtRbdImage(context, move, move.ownership, memory);
  const stat = await fileOf(context, move);
  if (stat === 'unknown') return 'unknown';
  if (stat === null) return 'absent';
  const claimed = journal?.claimed;
  if (claimed === undefined) {
    // Without a claim an empty file is harmless to take, and one with contents is not ours to touch.
    if (stat.size === 0n) return 'claimed';
    return job.kind === 'ours' || move.ownership.kind === 'reused' ? 'unknown' : 'foreign';
  }
  if (claimed.device !== stat.device || claimed.inode !== stat.inode) return 'foreign';
  return stat.size === 0n || memory.freshImage ? 'claimed' : 'ours';
}

/** What stands at the destination's path; `unknown` where it is no file, or cannot be looked at. */
async function fileOf({ host }: Context, { destination }: MoveRecord): Promise<FileStat | null | 'unknown'> {
  const { source } = destination;
  if (source.kind !== 'file' || host === undefined) return 'unknown';
  return host.stat(source.path, { timeoutMs: ANSWER_WITHIN_MS }).catch((error: unknown) => {
    if (isHang(error)) return 'unknown' as const;
    throw error;
  });
}

async function lookAtVolume(
  context: Context,
  connection: Connection,
  move: MoveRecord,
  memory: Memory,
): Promise<World['destination']> {
  if (move.ownership.kind !== 'volume') return 'unknown';
  try {
    const pool = await connection.lookupStoragePoolByName(move.ownership.pool);
    await pool.lookupVolumeByName(move.ownership.volume);
    if (move.ownership.claimed === undefined) return 'foreign';
    // libvirt does not notice when the file of a volume is deleted.
    if ((await fileOf(context, move)) === null) return 'absent';
    return memory.freshImage ? 'claimed' : 'ours';
  } catch (error) {
    if (isLibvirtError(error, ErrorCode.NO_STORAGE_VOL)) return 'absent';
    throw error;
  }
}

/**
 * An image of ours counts as \`claimed\` whatever is in it: it need not be made anew for another copy, since a full mirror
 * zeroes the part of its target that it does not write (seen with QEMU 7.2).
 */
export async function lookAtRbdImage(
  { host }: Context,
  { destination }: MoveRecord,
  { claimed }: Ownership & { readonly kind: 'rbd-image' },
  memory: Pick<Memory, 'copyStays'>,
): Promise<World['destination']> {
  const location = toLocation(destination.source);
  if (host === undefined || location.kind !== 'rbd' || memory.copyStays) return 'unknown';
  const look = await lookAtRbd(host, location, ANSWER_WITHIN_MS);
  switch (look.kind) {
    case 'there':
      return claimed ? 'claimed' : 'foreign';
    case 'absent':
      return 'absent';
    case 'no-pool':
    case 'hang':
    case 'error':
      return 'unknown';
    default:
      return unreachable(look);
  }
}

/**
 * Does the destination answer? Asked in a process of its own with a deadline, so that whatever hangs, hangs there.
 * A server that never let us in beside QEMU is judged by the mirror alone, which keeps reaching zero.
 */
export async function askDestination(
  context: Context,
  move: MoveRecord,
  memory: Memory,
): Promise<World['answers']> {
  const { host } = context;
  if (host === undefined) return 'yes';
  const { source } = move.destination;
  const goesBack = move.goal === 'abort' || move.goal === 'keep';
  if (source.kind === 'file' || source.kind === 'block') {
    const probe = await host.probeStorage(source.path, ANSWER_WITHIN_MS);
    // One that fails at once holds nothing up: it is only no place to switch to.
    return probe.ok || (goesBack && probe.why === 'error') ? 'yes' : 'silent';
  }
  const probe = await probeDestination(host, await toOpenableImage(host, move.destination), ANSWER_WITHIN_MS);
  if (probe.kind === 'answers') memory.everAnswered = true;
  if (probe.kind === 'answers' || (goesBack && probe.kind === 'error')) return 'yes';
  // A copy that stands still as well says the same: that server does not just serve one client at a time. A Ceph never
  // does.
  const many = source.kind === 'network' && source.protocol === 'rbd';
  const known = many || memory.everAnswered || memory.standsStill || probe.kind === 'error';
  return known || (goesBack && !memory.flows) ? 'silent' : 'yes';
}
