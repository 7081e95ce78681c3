// The copy journal: which windows of a layer are on stable storage, and of which source they were copied. A witness
// that is believed only whole: text that was torn or edited counts as no progress at all.
import { createHash } from 'node:crypto';
import type { Host } from '@blockferry/qemu';
import type { Identity } from './identity.ts';
import type { LayerPlan } from './layer-plan.ts';
import { type Cut, WindowSet, windowCount } from './windows.ts';

export interface CopyJournal {
  /** The move that began the copy. Another one may go on with it: a shared base is copied once. */
  readonly moveId: string;
  readonly how: LayerPlan['how'];
  readonly cut: Cut;
  /** The layer, and for `contents` everything below it. */
  readonly sources: readonly Identity[];
  readonly destination: Identity;
  /** Flushed to stable storage. */
  readonly copied: WindowSet;
  /** Read back from the storage and found equal. A subset of `copied`. */
  readonly verified: WindowSet;
  /** Cut to its exact length and flushed: from now on the copy may be used, and may change. */
  readonly finished: boolean;
  /** The copy when its link was written: unless it is still that, nobody else may stand on it. */
  readonly left?: Identity;
}

const HEADER = 'blockferry-copy 1';

/** One line with a checksum, then JSON. */
export function formatCopyJournal({ cut, copied, verified, ...rest }: CopyJournal): string {
  const fields = {
    ...rest,
    total: String(cut.total),
    windowBytes: String(cut.windowBytes),
    copied: String(copied),
    verified: String(verified),
  };
  const body = `${JSON.stringify(fields, null, 1)}\n`;
  return `${HEADER} ${checksum(body)}\n${body}`;
}

/** Undefined for everything that formatCopyJournal did not write. */
export function parseCopyJournal(text: string): CopyJournal | undefined {
  const lineEnd = text.indexOf('\n');
  const body = text.slice(lineEnd + 1);
  if (lineEnd < 0 || text.slice(0, lineEnd) !== `${HEADER} ${checksum(body)}`) return undefined;
  try {
    return readFields(JSON.parse(body) as Fields);
  } catch {
    return undefined;
  }
}

// The checksum says that we wrote it, so its fields are what we write.
type Fields = Omit<CopyJournal, 'cut' | 'copied' | 'verified'> &
  Record<'total' | 'windowBytes' | 'copied' | 'verified', string>;

function readFields({ total, windowBytes, copied, verified, ...rest }: Fields): CopyJournal | undefined {
  const cut = { total: BigInt(total), windowBytes: BigInt(windowBytes) };
  const count = windowCount(cut);
  const sets = { copied: WindowSet.parse(copied, count), verified: WindowSet.parse(verified, count) };
  if (!sets.copied || !sets.verified?.isWithin(sets.copied)) return undefined;
  return { ...rest, cut, copied: sets.copied, verified: sets.verified };
}

function checksum(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Undefined if there is none that can be believed. @throws FileError, HostError */
export async function readCopyJournal(
  host: Host,
  path: string,
  signal?: AbortSignal,
): Promise<CopyJournal | undefined> {
  const text = await host.readFile(path, signal ? { signal } : {});
  return text === null ? undefined : parseCopyJournal(text);
}

/** Fsynced, whole or not at all. @throws FileError, HostError */
export async function writeCopyJournal(
  host: Host,
  path: string,
  journal: CopyJournal,
  signal: AbortSignal,
): Promise<void> {
  await host.writeFileAtomic(path, formatCopyJournal(journal), { mode: 0o600, signal });
}
