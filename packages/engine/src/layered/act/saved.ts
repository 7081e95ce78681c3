// A domain that was saved (virDomainManagedSave, as libvirt-guests does when its host goes down) is off, but will go on from
// the images that it was saved on, with what its memory knows of them.
import { quoteArgument } from '@blockferry/qemu';
import type { StepName } from '../../model/decision.ts';
import { StepFailed } from '../../model/errors.ts';
import type { LayeredScene } from './layered-scene.ts';

/** Before its next start is given other images. Moves end while the domain runs, or is off for good. @throws StepFailed */
export async function mustNotBeSaved(
  { observation: { definitions }, move }: LayeredScene,
  step: StepName,
): Promise<void> {
  if (definitions === undefined || definitions.running) return;
  if (!(await definitions.domain.hasManagedSave())) return;
  const { name } = move.domain;
  throw new StepFailed(
    step,
    `${name} was saved (managed save), and would not find the images it was saved on: start it first (virsh start ${quoteArgument(name)}), or give up what was saved (virsh managedsave-remove ${quoteArgument(name)})`,
  );
}
