// A domain that was saved (virDomainManagedSave, as libvirt-guests does when its host goes down) is off, but will go on from
// the images that it was saved on, with what its memory knows of them.
import { DomainXml, sameSource } from '@blockferry/libvirt';
import { quoteArgument } from '@blockferry/qemu';
import type { StepName } from '../../model/decision.ts';
import { StepFailed } from '../../model/errors.ts';
import type { ImageRef } from '../../model/record.ts';
import type { LayeredScene } from './layered-scene.ts';

/**
 * Before its next start is given this image, with what the others hold. One that was saved on that very image finds it.
 *
 * @throws StepFailed
 */
export async function mustNotBeSaved(
  { observation: { definitions }, move }: LayeredScene,
  step: StepName,
  image: ImageRef,
): Promise<void> {
  if (definitions === undefined || definitions.running) return;
  const { domain } = definitions;
  if (!(await domain.hasManagedSave())) return;
  const on = DomainXml.parse(await domain.managedSaveXml()).disk(move.disk)?.source;
  if (on !== undefined && sameSource(on, image.source)) return;
  const { name } = move.domain;
  throw new StepFailed(
    step,
    `${name} was saved (managed save), and would not find the images it was saved on: start it first (virsh start ${quoteArgument(name)}), or give up what was saved (virsh managedsave-remove ${quoteArgument(name)})`,
  );
}
