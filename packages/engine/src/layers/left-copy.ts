// A copy that others may stand on: as it was left when its link was written. A base that somebody has committed into since
// is another disk's, and what was linked to it would read a mixture.
import type { Host } from '@blockferry/qemu';
import { type CopyState, copyState } from './copy-state.ts';
import { differences, sourceIdentity } from './identity.ts';
import { readCopyJournal, writeCopyJournal } from './journal.ts';
import { type LayerPlan, placeOf } from './layer-plan.ts';

/** What may be made of a copy that is there, by whoever has the same image to copy. */
export type Standing =
  /** Nobody tells whose copy it is. */
  | { readonly kind: 'stranger' }
  /** It is of this image, and not ready to be stood on: its move has not come so far, or never will. */
  | { readonly kind: 'unfinished'; readonly moveId?: string }
  | { readonly kind: 'unverified' }
  | { readonly kind: 'changed'; readonly differences: readonly string[] }
  | { readonly kind: 'as-left' };

/** @throws FileError (never ENOENT), HostError */
export async function standingOf(host: Host, plan: LayerPlan, verify: boolean): Promise<Standing> {
  const state: CopyState = await copyState(host, plan);
  switch (state.kind) {
    case 'none':
    case 'foreign':
      return { kind: 'stranger' };
    case 'partial':
      return { kind: 'unfinished' };
    case 'complete': {
      const changed = await changedSinceLeft(host, plan);
      if (changed === 'unknown') return { kind: 'unfinished', moveId: state.moveId };
      if (changed.length > 0) return { kind: 'changed', differences: changed };
      return verify && !state.verified ? { kind: 'unverified' } : { kind: 'as-left' };
    }
  }
}

/** How a copy differs from what it was left as; `unknown` if it was not left yet. @throws FileError, HostError */
export async function changedSinceLeft(
  host: Host,
  plan: Pick<LayerPlan, 'to' | 'away' | 'journal'>,
): Promise<readonly string[] | 'unknown'> {
  const there = placeOf(host, plan);
  const left = (await readCopyJournal(there.host, plan.journal))?.left;
  if (left === undefined) return 'unknown';
  return differences('copy', left, await sourceIdentity(there.host, there.file));
}

/**
 * Notes what a complete copy is, once: what it becomes later must not pass for it. To be called when everything that its
 * own move writes to it is on stable storage.
 *
 * @throws FileError, HostError
 */
export async function noteLeft(host: Host, plan: Pick<LayerPlan, 'to' | 'away' | 'journal'>): Promise<void> {
  const there = placeOf(host, plan);
  const journal = await readCopyJournal(there.host, plan.journal);
  if (journal?.finished !== true || journal.left !== undefined) return;
  const left = await sourceIdentity(there.host, there.file);
  await writeCopyJournal(there.host, plan.journal, { ...journal, left }, new AbortController().signal);
}
