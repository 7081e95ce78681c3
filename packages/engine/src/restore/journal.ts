// The journal of a restore under way: beside the first image that it makes, with the identity of each, so that nothing but
// these is ever removed.
import { dirname, join } from 'node:path';
import type { Host } from '@blockferry/qemu';
import type { FileIdentity } from '../record/journal.ts';
import { formatWithBigints, parseWithBigints, RecordUnreadable } from '../record/serialise.ts';
import type { RestorePlan } from './request.ts';

export interface RestoreJournal {
  readonly plan: RestorePlan;
  /** Files that we made, by path. One that is named by the plan alone was not made yet, or is empty. */
  readonly files: Readonly<Record<string, FileIdentity>>;
}

const SUFFIX = '.blockferry-restore';

/** One for each name: restoring the same again finds what a crash left. */
export function restoreJournalPath(directory: string, name: string): string {
  return join(directory, `.${name.replaceAll('/', '_')}${SUFFIX}`);
}

export function isRestoreJournal(path: string): boolean {
  return path.endsWith(SUFFIX);
}

export function journalPathOf({ disks: [first], name }: RestorePlan): string {
  return restoreJournalPath(dirname(first.path), name);
}

/** Whole or not at all. May be repeated. */
export async function writeRestoreJournal(host: Host, journal: RestoreJournal): Promise<void> {
  await host.writeFileAtomic(journalPathOf(journal.plan), `${formatWithBigints(journal)}\n`, { mode: 0o600 });
}

/** @throws RecordUnreadable */
export async function readRestoreJournal(host: Host, path: string): Promise<RestoreJournal | undefined> {
  const text = await host.readFile(path);
  if (text === null) return undefined;
  const parsed = parseWithBigints(text);
  if (!isJournal(parsed)) throw new RecordUnreadable('fields are missing or of another version');
  return parsed;
}

function isJournal(value: unknown): value is RestoreJournal {
  if (typeof value !== 'object' || value === null || !('plan' in value) || !('files' in value)) return false;
  const { plan } = value;
  return typeof plan === 'object' && plan !== null && 'version' in plan && plan.version === 1;
}

/** Every file that the plan makes. */
export function filesOf({ disks, nvram }: RestorePlan): readonly string[] {
  return [...disks.map(({ path }) => path), ...(nvram === undefined ? [] : [nvram])];
}

/**
 * Removes what a restore that died had made: files that are ours by device and inode, and empty ones of the plan, which it
 * died before it noted. Then the journal. May be repeated.
 *
 * @returns what was removed
 */
export async function removeRemains(
  host: Host,
  path: string,
  { plan, files }: RestoreJournal,
): Promise<readonly string[]> {
  const removed: string[] = [];
  for (const file of filesOf(plan)) {
    const stat = await host.stat(file, { followSymlinks: false });
    const noted = files[file];
    const isOurs =
      stat?.type === 'file' &&
      (noted === undefined ? stat.size === 0n : stat.inode === noted.inode && stat.device === noted.device);
    if (isOurs && (await host.unlink(file))) removed.push(file);
  }
  await host.unlink(path);
  return [...removed, path];
}
