// The journal of a restore under way: beside the first image that it makes, with the identity of each, so that nothing but
// these is ever removed.
import { dirname, join } from 'node:path';
import type { Host } from '@blockferry/qemu';
import type { FileIdentity } from '../record/journal.ts';
import { formatWithBigints, parseWithBigints, RecordUnreadable } from '../record/serialise.ts';
import { runOn } from '../storage/whole-files.ts';
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

/** Every file that the plan makes; not what is in the TPM's directory. */
export function filesOf({ disks, nvram, tpm }: RestorePlan): readonly string[] {
  return [
    ...disks.map(({ path }) => path),
    ...(nvram === undefined ? [] : [nvram]),
    ...(tpm?.kind === 'replaced' ? [tpm.kept] : []),
  ];
}

/** Did we make what is at this path of the plan? By device and inode; what is not noted yet must be empty. */
export async function isOurs(host: Host, { files }: RestoreJournal, path: string): Promise<boolean> {
  const stat = await host.stat(path, { followSymlinks: false });
  const noted = files[path];
  if (stat?.type !== 'file' && stat?.type !== 'directory') return false;
  if (noted !== undefined) return stat.inode === noted.inode && stat.device === noted.device;
  return stat.type === 'file' ? stat.size === 0n : (await host.readdir(path)).length === 0;
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
  journal: RestoreJournal,
): Promise<readonly string[]> {
  const removed: string[] = [];
  const { plan } = journal;
  for (const path of filesOf(plan)) {
    if ((await isOurs(host, journal, path)) && (await host.unlink(path))) removed.push(path);
  }
  const directory = plan.tpm?.directory;
  if (directory !== undefined && (await isOurs(host, journal, directory))) {
    await runOn(host, 'remove', directory, ['rm', '-rf', '--', directory], AbortSignal.timeout(60_000));
    removed.push(directory);
  }
  await host.unlink(path);
  return [...removed, path];
}
