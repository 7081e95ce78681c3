// What a copy needs that a move does not.
import { describeSource } from '@blockferry/libvirt';
import { quoteArgument } from '@blockferry/qemu';
import { Refusal } from '../model/errors.ts';
import type { Scope } from '../model/record.ts';
import type { Destination } from './destination.ts';
import type { CopyAsked } from './request.ts';
import type { Situation } from './situation.ts';
import type { Warning } from './warning.ts';

/** A copy is made as a file, or several, beside which its journals have a place. @throws Refusal `not-a-file` */
export function mustBeNewFile({ image, ownership }: Destination): void {
  if (image.source.kind === 'file' && ownership.kind !== 'reused' && ownership.kind !== 'rbd-image') return;
  throw new Refusal(
    'not-a-file',
    `copies are made as files, and ${describeSource(image.source)} is none`,
    {},
    'name a file, or a directory',
  );
}

/** What QEMU writes well, and reads back the same: others round the disk's size, or are read only. */
const COPY_FORMATS = ['qcow2', 'raw', 'vmdk', 'vdi', 'vhdx'];

/** @throws Refusal `unsupported-format`, `not-compressible` */
export function checkCopyFormat(format: string, scope: Scope, { compressed }: CopyAsked): void {
  if (scope === 'flatten' && !COPY_FORMATS.includes(format)) {
    const hint = `use --format ${COPY_FORMATS.slice(0, -1).join(', ')} or ${COPY_FORMATS.at(-1)}`;
    throw new Refusal('unsupported-format', `no image is made in ${format}`, { format }, hint);
  }
  if (!compressed || (scope === 'flatten' && format === 'qcow2')) return;
  const what = scope === 'flatten' ? `an image in ${format}` : 'a copy byte for byte';
  throw new Refusal('not-compressible', `${what} cannot be compressed`, { format }, 'use --format qcow2');
}

/**
 * Of a domain that is off, the file systems are at rest, unless its memory was saved while they were in use.
 *
 * @returns what is to be said where nobody can freeze them
 * @throws Refusal `no-guest-agent`, `managed-save`
 */
export async function checkQuiesce(
  { definitions: { running, domain }, live }: Pick<Situation, 'definitions' | 'live'>,
  copy: Pick<CopyAsked, 'quiesce'> | undefined,
): Promise<Warning[]> {
  if (copy === undefined || copy.quiesce === 'off') return [];
  const isAtRest = running ? live.agentConnected : !(await domain.hasManagedSave());
  if (isAtRest) return [];
  const why = running ? `no guest agent answers in ${live.name}` : `${live.name} was saved while it ran`;
  if (copy.quiesce === 'auto') {
    const message = `${why}: its file systems are copied as after a power failure`;
    return [{ code: 'not-quiesced', message }];
  }
  if (!running) {
    const hint = `start it (virsh start ${quoteArgument(live.name)}), or --quiesce auto`;
    throw new Refusal('managed-save', `${why}, and its file systems are not at rest`, {}, hint);
  }
  throw new Refusal(
    'no-guest-agent',
    `${why}, which would freeze its file systems`,
    {},
    'start qemu-guest-agent in the guest, and give the domain its channel; or --quiesce auto',
  );
}
