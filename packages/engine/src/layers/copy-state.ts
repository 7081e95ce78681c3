// What the journals say, without copying anything: for observing after a crash.
import { FileError, type Host } from '@blockferry/qemu';
import { readCopyJournal } from './journal.ts';
import { type LayerPlan, placeOf } from './layer-plan.ts';
import { journalDifferences } from './open-layer.ts';

export type CopyState =
  /** There is no journal that can be believed. */
  | { readonly kind: 'none' }
  /** Bytes on stable storage, and of these read back. */
  | { readonly kind: 'partial'; readonly copied: bigint; readonly verified: bigint; readonly total: bigint }
  /** All is copied and the copy has its final length; `verified` tells whether all of it was read back. */
  | { readonly kind: 'complete'; readonly verified: boolean; readonly total: bigint; readonly moveId: string }
  /** The journal is of another source or destination, or one of them is gone. */
  | { readonly kind: 'foreign'; readonly differences: readonly string[] };

/**
 * The copy may have changed since it was complete: relinked, committed into. That is not looked at.
 *
 * @throws FileError (never ENOENT), HostError
 */
export async function copyState(host: Host, plan: LayerPlan, signal?: AbortSignal): Promise<CopyState> {
  const journal = await readCopyJournal(placeOf(host, plan).host, plan.journal, signal);
  if (!journal) return { kind: 'none' };
  const { cut, copied, verified, finished, moveId } = journal;
  const differences = await differencesOrGone(host, plan, journal, signal);
  if (differences.length > 0) return { kind: 'foreign', differences };
  if (finished) {
    return { kind: 'complete', verified: verified.size === copied.size, total: cut.total, moveId };
  }
  return { kind: 'partial', copied: copied.bytes(cut), verified: verified.bytes(cut), total: cut.total };
}

async function differencesOrGone(...args: Parameters<typeof journalDifferences>): Promise<string[]> {
  try {
    return await journalDifferences(...args);
  } catch (error) {
    if (error instanceof FileError && error.code === 'ENOENT') return [`${error.path} is gone`];
    throw error;
  }
}
