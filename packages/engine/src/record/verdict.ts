// What is to become of what a journal claims, once nothing of ours goes on there.
import type { JournalPlace } from './journal.ts';

export type Verdict =
  /** The copies are ours by device and inode, unfinished, and nobody uses them. */
  | { readonly kind: 'remove-copy'; readonly paths: readonly string[] }
  /** Only the journal goes: no file that it claims is there. `note`: what is there instead, and stays. */
  | { readonly kind: 'remove-journal'; readonly note?: string }
  /** Nothing goes. */
  | { readonly kind: 'keep'; readonly why: string; readonly hint?: string };

export function keep(why: string, hint?: string): Verdict {
  return { kind: 'keep', why, ...(hint !== undefined && { hint }) };
}

/** The uid that wrote the journal, if it is not ours: in a directory for all (/tmp) that may be anybody. */
export async function strangerBehind({ host, path }: JournalPlace): Promise<number | undefined> {
  const [stat, self] = await Promise.all([
    host.stat(path, { followSymlinks: false }),
    host.run(['id', '-u'], { timeoutMs: 10_000 }),
  ]);
  return stat === null || stat.uid === Number(self.stdout) ? undefined : stat.uid;
}
