// The state of the emulated TPM of a domain that is migrated while it is off: it comes along, beside the images. That of one
// that runs is libvirt's to bring: it is in the stream of its migration.
import { FileError, type Host } from '@blockferry/qemu';
import { makeTpmDirectory } from '../backup/tpm.ts';
import { runOn } from '../storage/whole-files.ts';
import type { MigrationScene } from './act/scene.ts';
import { StepImpossible } from './errors.ts';
import type { Pair } from './pair.ts';
import type { MigrationRecord } from './record.ts';
import { type MigrationJournal, writeJournal } from './store.ts';
import type { MigrationWorld } from './world.ts';

/** Names and contents of all files. Says nothing where nothing is: a TPM that was never used has no state. */
const SUM = `
[ -d "$1" ] || exit 0
cd -- "$1" && files=$(find . -type f -exec sha256sum {} +) && printf '%s' "$files" | LC_ALL=C sort | sha256sum | cut -c1-64`;

/** Some kilobytes, as text: they go through our own memory, and through no argument, which everybody could read. */
const PACK = `[ -d "$1" ] || exit 0; tar -cf - -C "$1" . | base64 -w0`;
const UNPACK = `cd -- "$1" && find . -mindepth 1 -delete && base64 -d | tar -xpf - && find . -exec sync -- {} + && sync -- ..`;

async function said(host: Host, operation: string, path: string, script: string): Promise<string> {
  const { code, stdout, stderr } = await host.run(['sh', '-c', script, 'sh', path]);
  if (code === 0) return stdout.trim();
  throw new FileError({ code: 'other', host: host.name, operation, path, detail: stderr.trim() });
}

/** SHA-256 of all that is in the directory; empty where there is none. @throws FileError, HostError */
export function tpmSum(host: Host, directory: string): Promise<string> {
  return said(host, 'read', directory, SUM);
}

/** What has come of it, and whether the directory there is ours. @throws FileError, HostError */
export async function lookAtTpm(
  { home, away }: Pair,
  { tpm }: MigrationRecord,
  journal: MigrationJournal | undefined,
): Promise<{ readonly tpm: MigrationWorld['tpm']; readonly isThere: boolean }> {
  if (tpm === undefined) return { tpm: 'none', isThere: false };
  const isThere = await isBrought(away.host, tpm, journal);
  if (journal?.tpmSum === undefined) return { tpm: 'missing', isThere };
  if (journal.tpmSum !== (await tpmSum(home.host, tpm))) return { tpm: 'stale', isThere };
  // One that was never used has nothing to bring.
  return { tpm: isThere || journal.tpmSum === '' ? 'brought' : 'missing', isThere };
}

async function isBrought(
  host: Host,
  directory: string,
  journal: MigrationJournal | undefined,
): Promise<boolean> {
  const stat = await host.stat(directory, { followSymlinks: false });
  const noted = journal?.files[directory];
  return stat !== null && stat.inode === noted?.inode && stat.device === noted.device;
}

/**
 * Takes the directory where libvirt there looks for it, journals that it is ours, fills it, compares, and journals of what it
 * is the copy. A crash before the last leaves what is filled anew. Owners go by name: numbers of system users differ.
 *
 * @throws StepImpossible where somebody else's state stands there, or where it changes under us; FileError, HostError
 */
export async function bringTpm({ pair, record, observation, signal, passed }: MigrationScene): Promise<void> {
  const { journal } = observation;
  const { tpm } = record;
  if (tpm === undefined || journal === undefined) return;
  const { home, away } = pair;
  const sum = await tpmSum(home.host, tpm);
  let { files } = journal;
  if (sum !== '') {
    if (!(await isBrought(away.host, tpm, journal))) {
      files = { ...files, [tpm]: await claimed(away.host, tpm) };
      await writeJournal(pair, { record, files });
    }
    passed('bring-tpm:claimed');
    const input = Buffer.from(await said(home.host, 'archive', tpm, PACK));
    await runOn(away.host, 'unpack', tpm, ['sh', '-c', UNPACK, 'sh', tpm], signal, input);
    const same = (await tpmSum(away.host, tpm)) === sum && (await tpmSum(home.host, tpm)) === sum;
    if (!same) throw new StepImpossible('bring-tpm', `${tpm} changed while it was copied`);
  }
  await writeJournal(pair, { record, files, tpmSum: sum });
}

/** A crash between making and journaling it leaves an empty one, which is taken the next time. */
async function claimed(host: Host, directory: string): Promise<MigrationJournal['files'][string]> {
  try {
    await makeTpmDirectory(host, directory);
  } catch (error) {
    if (!(error instanceof FileError) || error.code !== 'EEXIST') throw error;
    if ((await host.readdir(directory)).length > 0) {
      throw new StepImpossible('bring-tpm', `${directory} appeared meanwhile and is not ours`);
    }
  }
  const stat = await host.stat(directory, { followSymlinks: false });
  if (stat?.type !== 'directory') throw new StepImpossible('bring-tpm', `${directory} is no directory`);
  return { device: stat.device, inode: stat.inode };
}

/** Removes what we brought, where no domain has it. May be repeated. @returns whether it did */
export async function removeBroughtTpm(
  { link, host }: Pair['away'],
  { record, files }: MigrationJournal,
  signal: AbortSignal,
): Promise<boolean> {
  const { tpm, domain } = record;
  if (tpm === undefined || !(await isBrought(host, tpm, { record, files }))) return false;
  const domains = await (await link.connection()).listAllDomains();
  if (domains.some(({ uuid }) => uuid === domain.uuid)) return false;
  await runOn(host, 'remove', tpm, ['rm', '-rf', '--', tpm], signal);
  return true;
}
