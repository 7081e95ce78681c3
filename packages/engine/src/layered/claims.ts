// The files that a layered move makes: is what stands at each path ours?
import type { FileStat } from '@blockferry/qemu';
import type { Claim } from '../model/layered-world.ts';
import type { ImageRef } from '../model/record.ts';
import { isHang } from '../observe/hang.ts';
import type { Journal } from '../record/journal.ts';
import type { Context } from '../run/context.ts';

const ANSWER_WITHIN_MS = 3_000;

/** By device and inode, as the journal has them; an empty file without a claim is harmless to take. */
export async function claimOf(
  { host }: Pick<Context, 'host'>,
  { source }: ImageRef,
  journal: Pick<Journal, 'files'> | undefined,
): Promise<Claim> {
  if (source.kind !== 'file' || host === undefined) return 'unknown';
  const stat = await host.stat(source.path, { timeoutMs: ANSWER_WITHIN_MS }).catch((error: unknown) => {
    if (isHang(error)) return 'unknown' as const;
    throw error;
  });
  if (stat === 'unknown') return 'unknown';
  return judge(stat, journal, source.path);
}

function judge(stat: FileStat | null, journal: Pick<Journal, 'files'> | undefined, path: string): Claim {
  if (stat === null) return 'absent';
  const claimed = journal?.files?.[path];
  if (claimed === undefined) return stat.size === 0n ? 'claimed' : 'foreign';
  if (claimed.device !== stat.device || claimed.inode !== stat.inode) return 'foreign';
  return stat.size === 0n ? 'claimed' : 'ours';
}

/** What is true of all of them: one that is not ours, or not there, speaks for the rest. */
export function worstClaim(claims: readonly Claim[]): Claim {
  const order: readonly Claim[] = ['foreign', 'absent', 'claimed', 'ours', 'unknown'];
  return order.find((claim) => claims.includes(claim)) ?? 'absent';
}

/** Something of ours stands there. */
export function isSomething(claim: Claim): boolean {
  return claim === 'claimed' || claim === 'ours';
}
