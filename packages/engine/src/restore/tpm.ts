// The state of a TPM on its way back: planned, made beside the one that is there, put in its place.
import { dirname, join } from 'node:path';
import type { DomainXml } from '@blockferry/libvirt';
import { type Host, quoteArgument } from '@blockferry/qemu';
import { pointPath, TPM } from '../backup/layout.ts';
import type { Manifest } from '../backup/model.ts';
import {
  archive,
  canMakeTpmState,
  encryptedWarning,
  makeTpmDirectory,
  tpmOf,
  tpmStatePath,
  unpack,
} from '../backup/tpm.ts';
import { Refusal } from '../model/errors.ts';
import { readDefinitions } from '../observe/definitions.ts';
import { lookAt } from '../preflight/look.ts';
import type { Warning } from '../preflight/warning.ts';
import type { Context } from '../run/context.ts';
import { runOn } from '../storage/whole-files.ts';
import { isOurs, readRestoreJournal } from './journal.ts';
import type { RestoreAs, RestorePlan, TpmPlan } from './request.ts';

export interface TpmRequest {
  readonly id: string;
  readonly as: RestoreAs;
  readonly uuid: string;
  readonly manifest: Manifest;
  readonly definition: DomainXml;
  /** Where the journal of this restore is, or of an earlier one that died. */
  readonly journal: string;
  /** A name that is free, for what is kept of the state that is there. */
  readonly freeName: () => Promise<string>;
}

export interface TpmPlanned {
  readonly tpm?: TpmPlan;
  readonly warnings: readonly Warning[];
}

/** @throws Refusal `tpm-state-exists` where there is a state of a domain that is gone */
export async function planTpm(context: Context, host: Host, request: TpmRequest): Promise<TpmPlanned> {
  const { as, uuid, manifest, definition } = request;
  const kind = tpmOf(context, definition);
  if (kind.kind === 'none') return { warnings: [] };
  const state = tpmStatePath(uuid);
  const there = await lookAt(host, state);
  const leftOut = (why: string): TpmPlanned => {
    const instead =
      there !== null && as.kind === 'over' ? 'it stays as it is' : 'a TPM that is new knows no keys';
    return { warnings: [{ code: 'tpm-left-out', message: `${why}: ${instead}` }] };
  };
  if (manifest.tpm === undefined) return leftOut("the state of the domain's TPM is not in the backup");
  if (kind.kind === 'elsewhere')
    return leftOut(`the state of the domain's TPM is not restored (${kind.why})`);
  if (!(await canMakeTpmState(host, state))) {
    return leftOut(`the state of the domain's TPM is not restored (${dirname(state)} cannot be written to)`);
  }
  const warnings = encryptedWarning(kind);
  if (there !== null && as.kind === 'over') {
    const directory = `${state}.blockferry-${request.id}`;
    return { tpm: { kind: 'replaced', directory, state, kept: await request.freeName() }, warnings };
  }
  if (there !== null) await mustBeLeftByUs(host, state, request.journal);
  return { tpm: { kind: 'new', directory: state }, warnings };
}

async function mustBeLeftByUs(host: Host, state: string, path: string): Promise<void> {
  const journal = await readRestoreJournal(host, path);
  if (journal?.plan.tpm?.directory === state && (await isOurs(host, journal, state))) return;
  throw new Refusal(
    'tpm-state-exists',
    `${state} holds the state of a TPM, and no domain has it`,
    { path: state },
    `if nobody needs it, move it away: mv ${quoteArgument(state)} ${quoteArgument(`${state}.old`)}`,
  );
}

/** Its directory, empty. @throws FileError EEXIST when there is one */
export async function claimTpm(host: Host, { directory }: TpmPlan): Promise<void> {
  await makeTpmDirectory(host, directory);
}

/** The state of the point in the directory that we made, and where one is replaced, an archive of that. */
export async function fillTpm(
  host: Host,
  { directory, point }: RestorePlan,
  tpm: TpmPlan,
  signal: AbortSignal,
): Promise<void> {
  if (tpm.kind === 'replaced') await archive(host, tpm.state, tpm.kept, signal);
  await unpack(host, join(pointPath(directory, point), TPM), tpm.directory, signal);
}

/**
 * Each file of ours takes the place of the one of that name in one step (rename); swtpm has one file. Only when all are there
 * the others go, and then our directory: whatever died, it is done again from the beginning.
 */
const PLACE = `
cd -- "$1" || exit
for part in *; do
  [ -d "$part" ] || continue
  if [ ! -d "$2/$part" ]; then mv -T -- "$part" "$2/$part" && sync -- "$2" || exit; continue; fi
  for file in "$part"/* "$part"/.[!.]*; do
    [ -f "$file" ] && ! [ "$file" -ef "$2/$file" ] || continue
    ln -f -- "$file" "$2/$part/.incoming" && mv -fT -- "$2/$part/.incoming" "$2/$file" || exit
  done
  for file in "$2/$part"/* "$2/$part"/.[!.]*; do
    [ -e "$part/\${file##*/}" ] || rm -rf -- "$file" || exit
  done
  sync -- "$2/$part" || exit
done
cd / && rm -rf -- "$1"`;

/**
 * Puts what was made beside it in the place of the state that is there: when the domain is defined on the restored images, and
 * before it runs. May be repeated.
 *
 * @throws Refusal `domain-runs` when somebody has started it in between, on the old state; FileError, HostError
 */
export async function placeTpm(
  { link, host }: Context,
  { tpm, uuid }: RestorePlan,
  signal: AbortSignal,
): Promise<void> {
  if (tpm?.kind !== 'replaced' || host === undefined) return;
  if ((await host.stat(tpm.directory, { followSymlinks: false }))?.type !== 'directory') return;
  const definitions = await readDefinitions(await link.connection(), uuid);
  if (definitions?.running === true) {
    const { name } = definitions.domain;
    throw new Refusal(
      'domain-runs',
      `${name} was started before the state of its TPM was in place: it runs with the one that it had`,
      { domain: name, state: tpm.directory },
      `shut it down (virsh shutdown ${quoteArgument(name)}), then ask for the same restore again`,
    );
  }
  await runOn(host, 'replace', tpm.state, ['/bin/sh', '-c', PLACE, 'sh', tpm.directory, tpm.state], signal);
}
