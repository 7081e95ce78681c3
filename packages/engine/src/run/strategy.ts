// The strategies, as the loop sees them: look, decide, act.
import { act } from '../act/act.ts';
import { decide } from '../decide/decide.ts';
import { actLayered } from '../layered/act/act.ts';
import { decideLayered } from '../layered/decide.ts';
import { observeLayered } from '../layered/observe.ts';
import type { Decision, LayeredStep, ShortenStep, Step } from '../model/decision.ts';
import type { LayeredWorld, LegJob, Place } from '../model/layered-world.ts';
import type { MoveRecord } from '../model/record.ts';
import { unreachable } from '../model/units.ts';
import type { Job, ShortenWorld, World } from '../model/world.ts';
import type { Memory } from '../observe/memory.ts';
import { observe } from '../observe/observe.ts';
import type { Seen } from '../observe/seen.ts';
import { actShorten } from '../shorten/act/act.ts';
import { decideShorten } from '../shorten/decide.ts';
import { observeShorten } from '../shorten/observe.ts';
import type { Context } from './context.ts';

export type AnyStep = Step | LayeredStep | ShortenStep;

/** One look at the host, and what can be made of it. */
export interface Look {
  readonly seen: Seen;
  readonly domain: World['domain'];
  /** The guest runs on the destination. */
  readonly onDestination: boolean;
  readonly live: Place;
  readonly config: Place;
  readonly job: Job | LegJob;
  readonly answers: World['answers'];
  /** All that was seen, with strategy `layered`. */
  readonly layered?: LayeredWorld;
  decide(move: MoveRecord): Decision<AnyStep>;
  /** Carries out a decision of this look. Returns the record as it is afterwards. */
  act(
    move: MoveRecord,
    decision: Decision<AnyStep> & { readonly kind: 'act' },
    warn: Warn,
  ): Promise<MoveRecord>;
}

export type Warn = (code: string, message: string) => void;

/** @throws as `observe` does */
export async function look(context: Context, move: MoveRecord, memory: Memory): Promise<Look> {
  switch (move.strategy) {
    case 'mirror': {
      const observation = await observe(context, move, memory);
      return lookThrough<Step, World>(observation, decide, (current, decision, warn) =>
        act({ context, observation, memory, warn }, current, decision),
      );
    }
    case 'layered': {
      const observation = await observeLayered(context, move, memory);
      const seen = lookThrough<LayeredStep, LayeredWorld>(
        observation,
        decideLayered,
        (current, decision, warn) => actLayered({ context, observation, memory, warn }, current, decision),
      );
      return { ...seen, layered: observation.world };
    }
    case 'commit':
    case 'pull': {
      const observation = await observeShorten(context, move, memory);
      return lookThrough<ShortenStep, ShortenWorld>(observation, decideShorten, (current, decision, warn) =>
        actShorten({ context, observation, memory, warn }, current, decision),
      );
    }
    default:
      return unreachable(move.strategy);
  }
}

type Acting<S> = Decision<S> & { readonly kind: 'act' };
type Shown = Omit<Look, 'seen' | 'onDestination' | 'layered' | 'decide' | 'act'>;

/** A decision comes back to the strategy that made it: so it is of its steps. */
function lookThrough<S extends AnyStep, W extends Shown>(
  observation: Seen & { readonly world: W },
  decideOn: (world: W, move: MoveRecord) => Decision<S>,
  carryOut: (move: MoveRecord, decision: Acting<S>, warn: Warn) => Promise<MoveRecord>,
): Look {
  const { world } = observation;
  const { domain, live, config, job, answers } = world;
  return {
    seen: observation,
    ...{ domain, live, config, job, answers },
    onDestination: live === 'destination',
    decide: (current) => decideOn(world, current),
    act: (current, decision, warn) => carryOut(current, decision as Acting<S>, warn),
  };
}

export function ordersSwitch(step: AnyStep): boolean {
  return step.name === 'pivot' || step.name === 'finish-leg';
}

export function startsCopy({ name }: AnyStep): boolean {
  return (
    name === 'start-copy' ||
    name === 'restart-synchronously' ||
    name === 'start-leg' ||
    name === 'start-job' ||
    name === 'work-offline' ||
    name === 'brake-guest' ||
    name === 'copy-layers'
  );
}
