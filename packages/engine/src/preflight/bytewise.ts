// Can the images in scope be copied byte for byte, and be a chain again?
import { formatLocation } from '@blockferry/qemu';
import type { MoveRequest } from './request.ts';
import type { Situation } from './situation.ts';

/** Formats of which `qemu-img rebase -u` rewrites the backing link (bdrv_change_backing_file). */
const RELINKED: readonly string[] = ['qcow2', 'qed'];

/** Undefined: they can, or it is their contents that are copied. Pure. */
export function cannotBeCopiedBytewise(
  { chain = [] }: Pick<Situation, 'chain'>,
  { scope }: Pick<MoveRequest, 'scope'>,
): string | undefined {
  if (scope === 'flatten') return undefined;
  const copied = scope === 'shallow' ? chain.slice(0, 1) : chain;
  const elsewhere = copied.find(({ dataFile }) => dataFile !== null);
  if (elsewhere?.dataFile) {
    // The header of the copy would name the same file: two disks on one file's data.
    return `the data of ${formatLocation(elsewhere.image.location)} is in another file, ${elsewhere.dataFile.reference}, and a copy byte for byte would share it`;
  }
  const fixed = copied.find(({ backing, image }) => backing !== null && !RELINKED.includes(image.format));
  if (fixed === undefined) return undefined;
  return `${formatLocation(fixed.image.location)} is ${fixed.image.format}, and the backing file that a copy of it names cannot be changed`;
}
