// The state of a domain's emulated TPM: where it is on the host, and its archive in a point.
import { dirname, join } from 'node:path';
import type { DomainXml } from '@blockferry/libvirt';
import type { Host } from '@blockferry/qemu';
import { lookAt } from '../preflight/look.ts';
import type { Warning } from '../preflight/warning.ts';
import type { Context } from '../run/context.ts';
import { runOn } from '../storage/whole-files.ts';

/** Of libvirt's system daemon (swtpmStorageDir in its qemu_conf.c): one directory a domain, called by its UUID. */
const STATES = '/var/lib/libvirt/swtpm';

export function tpmStatePath(uuid: string): string {
  return join(STATES, uuid);
}

/** libvirt makes the directory of all states with the first of them. @throws HostError */
export async function canMakeTpmState(host: Host, state: string): Promise<boolean> {
  const states = dirname(state);
  const nearest = (await lookAt(host, states)) === null ? dirname(states) : states;
  return (await lookAt(host, nearest)) !== null && host.access(nearest, 'w');
}

/** As libvirt makes them: QEMU and swtpm go through as users of their own. @throws FileError EEXIST where it is; HostError */
export async function makeTpmDirectory(host: Host, directory: string): Promise<void> {
  await host.mkdir(dirname(directory), { parents: true, mode: 0o711 });
  await host.mkdir(directory, { mode: 0o711 });
}

/** What can be done about the TPMs of a definition. libvirt allows one with a state of its own. */
export type TpmKind =
  | { readonly kind: 'none' }
  | { readonly kind: 'emulated'; readonly secret?: string }
  /** Nobody knows where its state is, or it is not the domain's. */
  | { readonly kind: 'elsewhere'; readonly why: string };

export function tpmOf({ link }: Context, definition: DomainXml): TpmKind {
  const tpms = definition.tpms();
  if (tpms.length === 0) return { kind: 'none' };
  const emulated = tpms.find(({ backend }) => backend === 'emulator');
  if (emulated === undefined) return { kind: 'elsewhere', why: "it is the host's own, and keeps it itself" };
  if (emulated.isPlaced)
    return { kind: 'elsewhere', why: 'the definition has it elsewhere than libvirt by itself' };
  if (link.uri?.includes('/session') === true) {
    return { kind: 'elsewhere', why: "a user's own libvirt has it elsewhere than the system's" };
  }
  return { kind: 'emulated', ...(emulated.secret !== undefined && { secret: emulated.secret }) };
}

/** Tells what its state is encrypted with, for nobody can read it without. */
export function encryptedWarning({ secret }: { readonly secret?: string }): readonly Warning[] {
  if (secret === undefined) return [];
  const message = `the state of the domain's TPM is encrypted with libvirt's secret ${secret}, which no backup holds: keep it (virsh secret-get-value)`;
  return [{ code: 'tpm-encrypted', message }];
}

export interface TpmForeseen {
  /** The directory that is to be stored. */
  readonly state?: string;
  readonly warnings: readonly Warning[];
}

/** Can it be stored? Changes nothing. @throws HostError */
export async function foreseeTpm(
  context: Context,
  host: Host,
  definition: DomainXml,
  uuid: string,
): Promise<TpmForeseen> {
  const tpm = tpmOf(context, definition);
  const leftOut = (why: string): TpmForeseen => {
    const message = `the state of the domain's TPM is not in the backup: ${why}`;
    return { warnings: [{ code: 'tpm-left-out', message }] };
  };
  if (tpm.kind === 'none') return { warnings: [] };
  if (tpm.kind === 'elsewhere') return leftOut(tpm.why);
  const state = tpmStatePath(uuid);
  // tar reads no file whose archive goes to /dev/null, but every directory; swtpm's files have the same owner.
  const { code, stderr } = await host.run(['/bin/sh', '-c', 'exec tar -cf /dev/null -C "$1" .', 'sh', state]);
  // 1: something changed meanwhile.
  if (code === 0 || code === 1) return { state, warnings: encryptedWarning(tpm) };
  return leftOut(stderr.trim().split('\n')[0] ?? `${state} cannot be read`);
}

/**
 * swtpm replaces its file by a new one (temporary file, rename: SWTPM_NVRAM_StoreData_Dir), so that what is opened is whole;
 * where it did so meanwhile, tar says that something changed (exit status 1), and it is read again. Owners are stored by
 * name and number: on another host tar gives the files to the user of that name, for numbers of system users differ.
 */
const ARCHIVE = `
umask 077
: >"$2" && chmod 600 -- "$2" || exit 2
for try in 1 2 3 4 5 6 7 8; do
  tar -cf "$2" -C "$1" .
  code=$?
  [ "$code" = 1 ] || exit "$code"
  sleep 0.2
done
exit 1`;

/** Writes a directory's archive over whatever is there, readable by its owner only. Torn by a crash. @throws FileError, HostError */
export async function archive(
  host: Host,
  directory: string,
  file: string,
  signal: AbortSignal,
): Promise<void> {
  await runOn(host, 'archive', directory, ['/bin/sh', '-c', ARCHIVE, 'sh', directory, file], signal);
}

/** Into a directory, with owners and modes; returns when all of it is on its storage. @throws FileError, HostError */
export async function unpack(
  host: Host,
  file: string,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  const script = 'tar -xpf "$1" -C "$2" && find "$2" -exec sync -- {} + && sync -- "$3"';
  const argv = ['/bin/sh', '-c', script, 'sh', file, directory, dirname(directory)];
  await runOn(host, 'unpack', file, argv, signal);
}
