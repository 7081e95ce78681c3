// The plan of a move with strategy `layered`.
import { describeSource } from '@blockferry/libvirt';
import type { LayeredPart, MoveRecord } from '../model/record.ts';
import type { PlannedStep } from './planned-step.ts';

export function layeredSteps(
  move: MoveRecord,
  { layers, overlay, carrier, verify }: LayeredPart,
): PlannedStep[] {
  const [from, to] = [describeSource(move.origin.source), describeSource(move.destination.source)];
  const [over, under] = [describeSource(overlay.source), describeSource(carrier.source)];
  const images = layers.length === 1 ? 'image' : `${layers.length} images`;
  const others = move.group?.disks.filter((disk) => disk !== move.disk) ?? [];
  const together = others.length === 0 ? '' : `, in one snapshot with ${others.join(', ')}`;
  const once = others.length === 0 ? '' : `, once ${others.join(', ')} can be switched too`;
  const onOverlay = `the guest on ${over} over its images; resume goes on, abort commits it back`;
  const overwritten =
    move.ownership.kind === 'reused' ? `; what ${to} held before is gone, also after an abort` : '';
  const steps: PlannedStep[] = [
    {
      step: 'claim-files',
      what: `make ${claimedWords(move, over)}`,
      leaves: `the guest on ${from}; files that abort removes`,
    },
    {
      step: 'freeze',
      what: `put the guest on ${over}: its images are frozen from here on${together}`,
      leaves: onOverlay,
    },
    {
      step: 'copy-layers',
      what: `copy the ${images} outside of QEMU${verify ? `, read ${layers.length === 1 ? 'it' : 'them'} back and compare` : ''}`,
      leaves: `${onOverlay}; what was copied is not copied again${overwritten}`,
    },
    { step: 'relink', what: 'write the backing links of the copies', leaves: onOverlay },
    { step: 'start-leg', what: `mirror ${over} to ${under} over the copies`, leaves: onOverlay },
  ];
  if (move.goal === 'hold') return steps;
  steps.push(
    {
      step: 'finish-leg',
      what: `switch the guest to ${under}${once}`,
      leaves: `the guest on ${over} or ${under}, both complete; resume finds out which`,
    },
    {
      step: 'start-leg',
      what: `commit ${under} into ${to} while the guest runs`,
      leaves: `the guest on ${under} over the copies; resume goes on`,
    },
    { step: 'finish-leg', what: `switch the guest to ${to}`, leaves: `the guest on ${to}` },
    { step: 'clear', what: `remove ${over} and ${under}`, leaves: `the guest on ${to}` },
  );
  if (move.options.deleteSource) {
    const names = move.sources.map(({ source }) => describeSource(source)).join(', ');
    const what = `delete ${names}, unless another domain uses it`;
    steps.push({ step: 'delete-source', what, leaves: `the guest on ${to}` });
  }
  const what = 'check both definitions and remove the record';
  return [...steps, { step: 'close', what, leaves: `the guest on ${to}` }];
}

function claimedWords({ destination, ownership }: MoveRecord, overlay: string): string {
  if (destination.source.kind === 'file') return `${overlay}, and empty files for the copies`;
  return ownership.kind === 'reused' ? overlay : `${overlay}, and ${describeSource(destination.source)}`;
}
