// Does the state of the domain's TPM come along? Looked at on both hosts; nothing is changed.
import { dirname } from 'node:path';
import { type DomainXml, ErrorCode, isLibvirtError } from '@blockferry/libvirt';
import { type Host, quoteArgument } from '@blockferry/qemu';
import { canMakeTpmState, tpmOf, tpmStatePath } from '../../backup/tpm.ts';
import { messageOf, Refusal } from '../../model/errors.ts';
import { lookAt } from '../../preflight/look.ts';
import type { OneSide, Pair } from '../pair.ts';
import type { DomainState } from '../record.ts';
import { sumOf } from '../state.ts';

/**
 * libvirt carries the state of an emulated TPM within its migration (checked with 9.0); of a domain that is off we do.
 *
 * @returns the state that we bring; undefined: there is none for us to bring
 * @throws Refusal `has-tpm`, `encrypted`, `tpm-state-exists`
 */
export async function mustBringTpm(
  { home, away }: Pair,
  definition: DomainXml,
  { uuid, offline }: { readonly uuid: string; readonly offline: boolean },
): Promise<DomainState | undefined> {
  const [here, there] = [tpmOf(home, definition), tpmOf(away, definition)];
  if (here.kind === 'none') return undefined;
  const isEmulated = definition.tpms().some(({ backend }) => backend === 'emulator');
  for (const tpm of [here, there]) {
    if (tpm.kind !== 'elsewhere' || (isEmulated && !offline)) continue;
    const hint = isEmulated ? 'start it: a live migration takes it along' : 'take it out: virsh edit';
    throw stays(definition.name, tpm.why, hint);
  }
  if (here.kind === 'emulated' && here.secret !== undefined) await mustKnow(away, here.secret);
  if (there.kind !== 'emulated') return undefined;
  const state = tpmStatePath(uuid);
  await mustBeFree(away.host, state);
  if (!offline) return undefined;
  await sumOf(home.host, state).catch((error: unknown) => {
    throw stays(definition.name, messageOf(error), 'run blockferry as a user who may read it');
  });
  if (!(await canMakeTpmState(away.host, state))) {
    const why = `${dirname(state)} at the destination cannot be written to`;
    throw stays(definition.name, why, 'use a connection as root there');
  }
  return { kind: 'tpm', path: state };
}

function stays(name: string, why: string, hint: string): Refusal {
  return new Refusal('has-tpm', `the state of the TPM of ${name} cannot come along: ${why}`, {}, hint);
}

async function mustKnow({ link }: OneSide, secret: string): Promise<void> {
  try {
    await (await link.connection()).secretValue(secret);
  } catch (error) {
    // One that is private is known, and told to nobody.
    if (!isLibvirtError(error, ErrorCode.NO_SECRET)) return;
    throw new Refusal(
      'encrypted',
      `the state of the TPM is encrypted with libvirt's secret ${secret}, which the destination does not know`,
      { secret },
      `define it there with that UUID, and set its value: virsh secret-define FILE; virsh secret-set-value ${secret} --plain --file PASSPHRASE`,
      { cause: error },
    );
  }
}

/** Either way it would be written over. */
async function mustBeFree(host: Host, state: string): Promise<void> {
  const there = await lookAt(host, state);
  if (there === null) return;
  if (there.type === 'directory' && (await host.readdir(state)).length === 0) return;
  throw new Refusal(
    'tpm-state-exists',
    `${state} at the destination holds the state of a TPM, and no domain has it`,
    { path: state },
    `if nobody needs it, move it away there: mv ${quoteArgument(state)} ${quoteArgument(`${state}.old`)}`,
  );
}
