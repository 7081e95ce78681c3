// What a domain keeps beside its disks, on its way to the other host: the variables of its firmware (NVRAM), and of one that
// is off the state of its emulated TPM. That of a TPM that runs is in the stream of libvirt's migration. NVRAM's contents are
// in that of QEMU's, but the file is made by whoever is first: libvirt would make it of its template, and leave it behind when
// the migration comes to nothing (seen with 9.0).
import { dirname } from 'node:path';
import type { Connection } from '@blockferry/libvirt';
import { FileError, type Host } from '@blockferry/qemu';
import { takeName } from '../act/take-name.ts';
import { makeTpmDirectory } from '../backup/tpm.ts';
import type { Millis } from '../model/units.ts';
import { bothDefinitions } from '../observe/usage.ts';
import type { FileIdentity } from '../record/journal.ts';
import { runOn } from '../storage/whole-files.ts';
import type { MigrationScene } from './act/scene.ts';
import { StepImpossible } from './errors.ts';
import type { OneSide, Pair } from './pair.ts';
import type { DomainState, MigrationRecord } from './record.ts';
import { type MigrationJournal, writeJournal } from './store.ts';
import type { MigrationWorld } from './world.ts';

/** Names and contents of all files. */
const SUM = `
cd -- "$1/" && files=$(find -H "./$2" -type f -exec sha256sum {} +) && printf '%s' "$files" | LC_ALL=C sort | sha256sum | cut -c1-64`;

/** As text, and packed: they go through our own memory, and through no argument, which everybody could read. */
const PACK = 'tar -chf - -C "$1/" -- "$2" | gzip -1 | base64 -w0';
/** Into the inode that is ours: --overwrite. */
const UNPACK = `
cd -- "$1/" && find "./$2" -mindepth 1 -delete && base64 -d | gzip -d | tar -xpf - --overwrite &&
  find "./$2" -exec sync -- {} + && sync -- .`;

/** The largest flash that QEMU has is of 64 MiB (ARM's virt); packed, that stays below what we hold. */
export const LARGEST_STATE = 72n << 20n;
const PACKED_BYTES = 128 << 20;
const WITHIN_MS: Millis = 300_000;

function script(text: string, path: string): string[] {
  return ['sh', '-c', text, 'sh', dirname(path), path.slice(path.lastIndexOf('/') + 1)];
}

async function said(host: Host, operation: string, path: string, text: string): Promise<string> {
  const options = { timeoutMs: WITHIN_MS, maxOutputBytes: PACKED_BYTES };
  const { code, stdout, stderr } = await host.run(script(text, path), options);
  if (code === 0) return stdout.trim();
  throw new FileError({ code: 'other', host: host.name, operation, path, detail: stderr.trim() });
}

/** SHA-256 of all that is there; empty where nothing is: what was never used has no state. @throws FileError, HostError */
export async function sumOf(host: Host, path: string): Promise<string> {
  return (await host.stat(path)) === null ? '' : said(host, 'read', path, SUM);
}

/** What has come of them, and whether anything of ours is there. @throws FileError, HostError */
export async function lookAtStates(
  pair: Pair,
  record: Pick<MigrationRecord, 'states' | 'mode'>,
  journal: MigrationJournal | undefined,
): Promise<{ readonly state: MigrationWorld['state']; readonly isThere: boolean }> {
  const found = await Promise.all(record.states.map((state) => lookAtOne(pair, state, record, journal)));
  const worst = (['stale', 'missing', 'brought'] as const).find((each) => found.includes(each));
  const there = await statesThere(pair.away, record, journal);
  return { state: worst ?? 'none', isThere: there.length > 0 };
}

async function lookAtOne(
  { home, away }: Pair,
  { path }: DomainState,
  { mode }: Pick<MigrationRecord, 'mode'>,
  journal: MigrationJournal | undefined,
): Promise<Exclude<MigrationWorld['state'], 'none'>> {
  const sum = journal?.sums?.[path];
  if (sum === undefined) return 'missing';
  // Of a domain that runs, QEMU brings what is written to it since.
  if (mode === 'offline' && sum !== (await sumOf(home.host, path))) return 'stale';
  // What was never used has nothing to bring.
  return sum === '' || (await isBrought(away.host, path, journal)) ? 'brought' : 'missing';
}

async function isBrought(host: Host, path: string, journal: MigrationJournal | undefined): Promise<boolean> {
  const stat = await host.stat(path, { followSymlinks: false });
  const noted = journal?.files[path];
  return stat !== null && stat.inode === noted?.inode && stat.device === noted.device;
}

/** A crash between making it and journaling it leaves an empty one: preflight saw that nothing was there. */
async function isEmpty(host: Host, { kind, path }: DomainState): Promise<boolean> {
  const stat = await host.stat(path, { followSymlinks: false });
  if (kind === 'nvram') return stat?.type === 'file' && stat.size === 0n;
  return stat?.type === 'directory' && (await host.readdir(path)).length === 0;
}

/** The paths of those that are there and ours. @throws FileError, HostError */
export async function statesThere(
  { host }: Pick<OneSide, 'host'>,
  { states }: Pick<MigrationRecord, 'states'>,
  journal: MigrationJournal | undefined,
): Promise<readonly string[]> {
  const there: string[] = [];
  for (const state of states) {
    const isOurs = (await isBrought(host, state.path, journal)) || (await isEmpty(host, state));
    if (isOurs) there.push(state.path);
  }
  return there;
}

/**
 * Takes the name where libvirt there looks for it, journals that it is ours, fills it, compares, and journals of what it is the
 * copy. A crash before the last leaves what is filled anew. Owners go by name: numbers of system users differ.
 *
 * @throws StepImpossible where somebody else's state stands there, or where it changes under us; FileError, HostError
 */
export async function bringStates(scene: MigrationScene): Promise<void> {
  const { pair, record } = scene;
  let { journal } = scene.observation;
  for (const state of record.states) {
    if (journal === undefined) return;
    journal = await bring(scene, state, { ...journal, record });
    await writeJournal(pair, journal);
  }
}

async function bring(
  { pair: { home, away }, record, signal, passed }: MigrationScene,
  state: DomainState,
  journal: MigrationJournal,
): Promise<MigrationJournal> {
  const { path } = state;
  const sum = await sumOf(home.host, path);
  let { files } = journal;
  if (sum !== '') {
    if (!(await isBrought(away.host, path, journal))) {
      files = { ...files, [path]: await claimed(away.host, state) };
      passed(`bring-state:made-${state.kind}`);
      await writeJournal({ away }, { ...journal, files });
    }
    passed(`bring-state:claimed-${state.kind}`);
    const input = Buffer.from(await said(home.host, 'archive', path, PACK));
    await runOn(away.host, 'unpack', path, script(UNPACK, path), signal, input);
    passed(`bring-state:filled-${state.kind}`);
    await mustBeTheSame({ home, away }, path, sum, record);
  }
  return { ...journal, files, sums: { ...journal.sums, [path]: sum } };
}

async function mustBeTheSame(
  { home, away }: Pair,
  path: string,
  sum: string,
  { mode }: MigrationRecord,
): Promise<void> {
  if (mode === 'live') return;
  const same = (await sumOf(away.host, path)) === sum && (await sumOf(home.host, path)) === sum;
  if (!same) throw failed(`${path} changed while it was copied`);
}

async function claimed(host: Host, state: DomainState): Promise<FileIdentity> {
  const { kind, path } = state;
  if (kind === 'nvram') return takeName(host, path, { mode: 0o600, owner: undefined }, failed);
  try {
    await makeTpmDirectory(host, path);
  } catch (error) {
    if (!(error instanceof FileError) || error.code !== 'EEXIST') throw error;
    if (!(await isEmpty(host, state))) throw failed(`${path} appeared meanwhile and is not ours`);
  }
  const stat = await host.stat(path, { followSymlinks: false });
  if (stat === null) throw failed(`${path} vanished as soon as it was made`);
  return { device: stat.device, inode: stat.inode };
}

function failed(message: string, options?: ErrorOptions): StepImpossible {
  return new StepImpossible('bring-state', message, options);
}

/**
 * Removes what we brought. May be repeated.
 *
 * @returns the paths of what it removed
 * @throws StepImpossible when a domain there has one of them; FileError, HostError, LibvirtError
 */
export async function removeStates(
  { link, host }: OneSide,
  { states, domain }: Pick<MigrationRecord, 'states' | 'domain'>,
  journal: MigrationJournal | undefined,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const paths = await statesThere({ host }, { states }, journal);
  if (paths.length === 0) return [];
  const user = await userOf(await link.connection(), states, domain.uuid);
  if (user !== undefined) throw new StepImpossible('clear-away', `${user.path} is used by ${user.domain}`);
  for (const path of paths) await runOn(host, 'remove', path, ['rm', '-rf', '--', path], signal);
  return paths;
}

/** Which domain of a host has one of these. @param uuid of the one whose TPM it is. @throws LibvirtError */
export async function userOf(
  connection: Connection,
  states: readonly DomainState[],
  uuid: string,
): Promise<{ readonly domain: string; readonly path: string } | undefined> {
  if (states.length === 0) return undefined;
  for (const domain of await connection.listAllDomains()) {
    const nvrams = (await bothDefinitions(connection, domain)).map(({ xml }) => xml.osNvram);
    const used = states.find(({ kind, path }) =>
      kind === 'tpm' ? domain.uuid === uuid : nvrams.includes(path),
    );
    if (used !== undefined) return { domain: domain.name, path: used.path };
  }
  return undefined;
}
