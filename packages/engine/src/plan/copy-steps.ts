// The plan of a copy: the guest goes to an overlay and back again.
import { describeSource } from '@blockferry/libvirt';
import type { CopyPart, LayeredPart, MoveRecord } from '../model/record.ts';
import type { PlannedStep } from './planned-step.ts';

export function copySteps(
  move: MoveRecord,
  { layers, overlay, verify }: LayeredPart,
  { quiesce }: CopyPart,
  running: boolean,
): PlannedStep[] {
  const guest = running ? 'the guest' : 'the domain';
  const [from, over] = [describeSource(move.origin.source), describeSource(overlay.source)];
  const images = layers.length === 1 ? 'image' : `${layers.length} images`;
  const copies = layers.length === 1 ? 'copy' : 'copies';
  const others = move.group?.disks.filter((disk) => disk !== move.disk) ?? [];
  const together = others.length === 0 ? '' : `, in one snapshot with ${others.join(', ')}`;
  const still =
    quiesce === 'off' || !running
      ? ''
      : `; its file systems frozen meanwhile${quiesce === 'auto' ? ', if its agent is there' : ''}`;
  const onOverlay = `${guest} on ${over} over its images; resume goes on, abort commits it back`;
  const kept = `${guest} on ${over}, the ${copies} complete; resume takes it back`;
  const back = `${guest} on ${from}, the ${copies} complete`;
  const isBytes = layers.some(({ how }) => how === 'bytes');
  return [
    {
      step: 'claim-files',
      what: `make ${over}, and empty files for the ${copies}`,
      leaves: `${guest} on ${from}; files that abort removes`,
    },
    {
      step: 'freeze',
      what: `${running ? 'put the guest' : 'define the domain'} on ${over}: its images are frozen from here on${running ? together : ''}${still}`,
      leaves: onOverlay,
    },
    {
      step: 'copy-layers',
      what: `copy the ${images} outside of QEMU${verify ? ', read back and compare' : ''}`,
      leaves: `${onOverlay}; what was copied is not copied again`,
    },
    ...(isBytes
      ? [{ step: 'relink', what: 'write the backing links of the copies', leaves: onOverlay } as const]
      : []),
    {
      step: 'keep-copies',
      what: `write down that the ${copies} ${layers.length === 1 ? 'stays' : 'stay'}`,
      leaves: kept,
    },
    ...(running
      ? ([
          { step: 'start-leg', what: `commit ${over} into ${from} while the guest runs`, leaves: kept },
          { step: 'finish-leg', what: `switch the guest back to ${from}`, leaves: back },
        ] as const)
      : ([
          {
            step: 'walk',
            what: `commit ${over} into ${from} with qemu-img, and define the domain on it`,
            leaves: back,
          },
        ] as const)),
    { step: 'clear', what: `remove ${over} and the journals`, leaves: back },
    { step: 'close', what: 'check both definitions and remove the record', leaves: back },
  ];
}
