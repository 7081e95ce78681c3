// Labels that the disk's <source> gives its image: who owns it to QEMU, and whether libvirt is to see to that.

import type { Destination } from './destination.ts';
import type { MoveRequest } from './request.ts';
import type { Situation } from './situation.ts';
import type { Warning } from './warning.ts';

type Labels = { readonly kept: string | undefined; readonly lost: boolean };

/**
 * The destination with the labels of the disk, where both are files: libvirt would label it by the domain's defaults otherwise,
 * and a later start without what was told would find it closed. What is `relabel='no'` of the model `dac` holds for our files
 * too, which have the owner and the mode of the disk's image. Of another model (SELinux) nobody gives our files such a label.
 * In XML of the operator's own, and for a volume, whose owner its pool decides, it is the operator who says.
 */
export function withLabels(
  { disk }: Pick<Situation, 'disk'>,
  request: Pick<MoveRequest, 'destinationXml'>,
  destination: Destination,
): Destination {
  const { image, ownership } = destination;
  const { source } = image;
  if (disk.source?.kind !== 'file' || source.kind !== 'file') return destination;
  if (request.destinationXml !== undefined || ownership.kind === 'volume') return destination;
  const { kept } = labelsOf(disk.source.seclabel);
  return kept === undefined
    ? destination
    : { ...destination, image: { ...image, source: { ...source, seclabel: kept } } };
}

/** Says which labels do not come along. Pure. */
export function labelWarnings(
  { disk }: Pick<Situation, 'disk'>,
  destination: Pick<Destination, 'image'>,
): Warning[] {
  const { source } = disk;
  if (source === undefined || source.kind === 'other' || source.seclabel === undefined) return [];
  const there = destination.image.source;
  const isKept = there.kind !== 'other' && there.seclabel !== undefined;
  if (isKept && !labelsOf(source.seclabel).lost) return [];
  const message = `the <seclabel> of ${disk.target} does not come along: libvirt labels the destination by the domain's defaults`;
  return [{ code: 'label-lost', message }];
}

function labelsOf(seclabel = ''): Labels {
  const all = seclabel.match(/<seclabel\b[^>]*?(\/>|>[\s\S]*?<\/seclabel>)/g) ?? [];
  const kept = all.filter(
    (label) => !/\brelabel=(['"])no\1/.test(label) || /\bmodel=(['"])dac\1/.test(label),
  );
  return { kept: kept.length === 0 ? undefined : kept.join(''), lost: kept.length < all.length };
}
