// The steps of a commit or a pull, for the plan.
import { describeSource } from '@blockferry/libvirt';
import type { ImageRef, MoveRecord } from '../model/record.ts';
import { chainOn, switches } from '../shorten/chain.ts';
import type { PlannedStep } from './planned-step.ts';

export function shortenSteps(move: MoveRecord, running: boolean): PlannedStep[] {
  const { strategy, sources, goal, options } = move;
  const name = (image: ImageRef | undefined) => (image === undefined ? '' : describeSource(image.source));
  const going = sources.map(name).join(', ');
  const into = name(move.destination);
  const [before, after] = [name(chainOn(move, 'origin')[0]), name(chainOn(move, 'destination')[0])];
  const untouched = `the guest on ${before} over its whole chain`;
  const work = strategy === 'commit' ? `commit ${going} into ${into}` : `pull ${going} up into ${into}`;
  const partly = `${untouched}; ${into} holds part of what it is to take, which the guest does not see. resume goes on, abort ends it`;
  const steps: PlannedStep[] = [
    {
      step: 'record',
      what: `write the intent into the metadata of ${move.domain.name} and a journal`,
      leaves: `${untouched}; a record that abort removes`,
    },
    running
      ? { step: 'start-job', what: `${work}, while the guest runs`, leaves: partly }
      : { step: 'work-offline', what: `${work}, with qemu-img`, leaves: partly },
  ];
  if (goal === 'hold') return steps;
  if (switches(move) && running) {
    const leaves = `the guest on ${before} or ${after}, both complete; resume finds out which`;
    steps.push({ step: 'pivot', what: `switch the guest to ${after}`, leaves });
  }
  const done = `the guest on ${after} over the shorter chain`;
  if (!running) {
    const what = switches(move)
      ? `have the definition name ${after}`
      : 'have the image above name what is below it';
    steps.push({ step: 'finish-offline', what, leaves: done });
  }
  if (options.deleteSource) {
    const what = `delete ${going}, unless another domain or a snapshot uses it`;
    steps.push({ step: 'delete-source', what, leaves: done });
  }
  return [...steps, { step: 'close', what: 'check both definitions and remove the record', leaves: done }];
}
