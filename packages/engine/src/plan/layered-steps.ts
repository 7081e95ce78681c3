// The plan of a move with strategy `layered`.
import { describeSource } from '@blockferry/libvirt';
import type { LayeredPart, MoveRecord } from '../model/record.ts';
import type { PlannedStep } from './planned-step.ts';

export function layeredSteps(
  move: MoveRecord,
  { layers, overlay, carrier, verify }: LayeredPart,
  running: boolean,
): PlannedStep[] {
  const guest = running ? 'the guest' : 'the domain';
  const [from, to] = [describeSource(move.origin.source), describeSource(move.destination.source)];
  const [over, under] = [describeSource(overlay.source), describeSource(carrier.source)];
  const images = layers.length === 1 ? 'image' : `${layers.length} images`;
  const others = move.group?.disks.filter((disk) => disk !== move.disk) ?? [];
  const together = others.length === 0 ? '' : `, in one snapshot with ${others.join(', ')}`;
  const once = others.length === 0 ? '' : `, once ${others.join(', ')} can be switched too`;
  const onOverlay = `${guest} on ${over} over its images; resume goes on, abort commits it back`;
  const overwritten =
    move.ownership.kind === 'reused' ? `; what ${to} held before is gone, also after an abort` : '';
  const steps: PlannedStep[] = [
    {
      step: 'claim-files',
      what: `make ${claimedWords(move, over)}`,
      leaves: `${guest} on ${from}; files that abort removes`,
    },
    {
      step: 'freeze',
      what: `${running ? 'put the guest' : 'define the domain'} on ${over}: its images are frozen from here on${running ? together : ''}`,
      leaves: onOverlay,
    },
    {
      step: 'copy-layers',
      what: `copy the ${images} outside of QEMU${verify ? `, read ${layers.length === 1 ? 'it' : 'them'} back and compare` : ''}`,
      leaves: `${onOverlay}; what was copied is not copied again${overwritten}`,
    },
    { step: 'relink', what: 'write the backing links of the copies', leaves: onOverlay },
  ];
  steps.push(...onward(move, { over, under, to, once, onOverlay }, running));
  if (move.goal === 'hold' && running) return steps;
  steps.push({ step: 'clear', what: `remove ${over} and ${under}`, leaves: `${guest} on ${to}` });
  if (move.options.deleteSource) {
    const names = move.sources.map(({ source }) => describeSource(source)).join(', ');
    const what = `delete ${names}, unless another domain uses it`;
    steps.push({ step: 'delete-source', what, leaves: `${guest} on ${to}` });
  }
  const what = 'check both definitions and remove the record';
  return [...steps, { step: 'close', what, leaves: `${guest} on ${to}` }];
}

type Way = Readonly<Record<'over' | 'under' | 'to' | 'once' | 'onOverlay', string>>;

/** From the overlay to the destination: by block jobs, or with the domain off by qemu-img. */
function onward(
  { goal }: MoveRecord,
  { over, under, to, once, onOverlay }: Way,
  running: boolean,
): PlannedStep[] {
  const either = `on ${over} or ${under}, both complete; resume finds out which`;
  if (!running) {
    const [copied, committed] = [
      `copy ${over} to ${under} over the copies`,
      `commit ${under} into ${to} with qemu-img`,
    ];
    return [
      { step: 'walk', what: `${copied}, and define the domain on it${once}`, leaves: `the domain ${either}` },
      { step: 'walk', what: `${committed}, and define the domain on it`, leaves: `the domain on ${to}` },
    ];
  }
  const mirror = {
    step: 'start-leg',
    what: `mirror ${over} to ${under} over the copies`,
    leaves: onOverlay,
  } as const;
  if (goal === 'hold') return [mirror];
  return [
    mirror,
    { step: 'finish-leg', what: `switch the guest to ${under}${once}`, leaves: `the guest ${either}` },
    {
      step: 'start-leg',
      what: `commit ${under} into ${to} while the guest runs`,
      leaves: `the guest on ${under} over the copies; resume goes on`,
    },
    { step: 'finish-leg', what: `switch the guest to ${to}`, leaves: `the guest on ${to}` },
  ];
}

function claimedWords({ destination, ownership }: MoveRecord, overlay: string): string {
  if (destination.source.kind === 'file') return `${overlay}, and empty files for the copies`;
  return ownership.kind === 'reused' ? overlay : `${overlay}, and ${describeSource(destination.source)}`;
}
