// The plan: the steps a move will take, what each can leave behind, and how much there is to copy.
import { describeSource } from '@blockferry/libvirt';
import type { ImageRef, MoveRecord } from '../model/record.ts';
import type { Bytes } from '../model/units.ts';
import type { Preflight } from '../preflight/preflight.ts';
import type { ShortenPreflight } from '../preflight/shorten.ts';
import type { Warning } from '../preflight/warning.ts';
import { chainOn } from '../shorten/chain.ts';
import { copySteps } from './copy-steps.ts';
import { layeredSteps } from './layered-steps.ts';
import type { PlannedStep } from './planned-step.ts';
import { shortenSteps } from './shorten-steps.ts';

export interface Plan {
  readonly move: MoveRecord;
  readonly steps: readonly PlannedStep[];
  readonly warnings: readonly Warning[];
  /** Why this strategy. */
  readonly why: string;
  readonly bytes: Bytes;
  readonly capacity: Bytes;
  /** Top first. */
  readonly chainBefore: readonly ImageRef[];
  readonly chainAfter: readonly ImageRef[];
  /** Of a copy, which changes no chain: the images that it makes, top first. */
  readonly copies: readonly ImageRef[] | undefined;
}

/** Turns what preflight found into the plan that `move` runs. Pure. */
export function planOf({ move, warnings, why, bytes, capacity, chain, running }: Preflight): Plan {
  const found = { move, warnings, why, bytes, capacity, chainBefore: chain };
  const shared = move.scope === 'shallow' ? chain.slice(1) : [];
  const layers = move.layered && [...move.layered.layers.map(({ to }) => to), ...(move.layered.shared ?? [])];
  const copies = layers ?? [move.destination];
  const isCopy = move.copy !== undefined;
  return {
    ...found,
    steps: plannedSteps(move, running),
    chainAfter: isCopy ? chain : [...copies, ...shared],
    copies: isCopy ? copies : undefined,
  };
}

function plannedSteps(move: MoveRecord, running: boolean): PlannedStep[] {
  if (move.layered === undefined) return stepsOf(move);
  return move.copy === undefined
    ? layeredSteps(move, move.layered, running)
    : copySteps(move, move.layered, move.copy, running);
}

/** Of a chain that is to be shortened. Pure. */
export function shortenPlanOf({
  move,
  warnings,
  why,
  bytes,
  capacity,
  chain,
  running,
}: ShortenPreflight): Plan {
  const found = { move, warnings, why, bytes, capacity, chainBefore: chain };
  const chainAfter = chainOn(move, 'destination');
  return { ...found, steps: shortenSteps(move, running), chainAfter, copies: undefined };
}

function stepsOf(move: MoveRecord): PlannedStep[] {
  const to = describeSource(move.destination.source);
  const from = describeSource(move.origin.source);
  const untouched = `the guest on ${from}`;
  const steps: PlannedStep[] = [
    {
      step: 'record',
      what: `write the intent into the metadata of ${move.domain.name} and a journal`,
      leaves: `${untouched}; a record that abort removes`,
    },
  ];
  if (move.ownership.kind !== 'reused') {
    const what = {
      created: `claim the file ${to}`,
      volume: `create the volume ${to}`,
      'rbd-image': `create the image ${to}`,
    }[move.ownership.kind];
    steps.push({
      step: 'claim-destination',
      what,
      leaves: `${untouched}; an empty ${to}, which abort removes`,
    });
  }
  if (move.jobMode === 'undefine') {
    steps.push({
      step: 'undefine',
      what: 'keep the definition aside and make the domain transient',
      leaves: `${untouched}; resume or abort define it again`,
    });
  }
  steps.push({
    step: 'start-copy',
    what: `mirror ${move.scope === 'shallow' ? 'the active image' : 'the whole chain'} to ${to}`,
    leaves: `${untouched}; an unfinished copy, which resume completes and abort removes`,
  });
  if (move.goal === 'hold') return steps;
  steps.push({
    step: 'pivot',
    what: `switch the guest to ${to}`,
    leaves: `the guest on ${from} or ${to}, both complete; resume finds out which`,
  });
  if (move.jobMode === 'undefine') {
    steps.push({
      step: 'restore-definition',
      what: 'define the domain again, its disk on the destination',
      leaves: `the guest on ${to}`,
    });
  }
  if (move.options.deleteSource) {
    const names = move.sources.map(({ source }) => describeSource(source)).join(', ');
    steps.push({
      step: 'delete-source',
      what: `delete ${names}, unless another domain uses it`,
      leaves: `the guest on ${to}`,
    });
  }
  steps.push({
    step: 'close',
    what: 'check both definitions and remove the record',
    leaves: `the guest on ${to}`,
  });
  return steps;
}
