// The two strategies, as the loop sees them: look, decide, act.
import { act } from '../act/act.ts';
import { decide } from '../decide/decide.ts';
import { actLayered } from '../layered/act/act.ts';
import { decideLayered } from '../layered/decide.ts';
import { observeLayered } from '../layered/observe.ts';
import type { Decision, LayeredStep, Step } from '../model/decision.ts';
import type { LayeredWorld, LegJob, Place } from '../model/layered-world.ts';
import type { MoveRecord } from '../model/record.ts';
import type { Job, World } from '../model/world.ts';
import type { Memory } from '../observe/memory.ts';
import { observe } from '../observe/observe.ts';
import type { Seen } from '../observe/seen.ts';
import type { Context } from './context.ts';

export type AnyStep = Step | LayeredStep;

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
  return move.strategy === 'layered' ? lookLayered(context, move, memory) : lookMirror(context, move, memory);
}

async function lookMirror(context: Context, move: MoveRecord, memory: Memory): Promise<Look> {
  const observation = await observe(context, move, memory);
  const { world } = observation;
  return {
    seen: observation,
    domain: world.domain,
    onDestination: world.live === 'destination',
    live: world.live,
    config: world.config,
    job: world.job,
    answers: world.answers,
    decide: (current) => decide(world, current),
    act: (current, decision, warn) =>
      act({ context, observation, memory, warn }, current, decision as Decision & { kind: 'act' }),
  };
}

async function lookLayered(context: Context, move: MoveRecord, memory: Memory): Promise<Look> {
  const observation = await observeLayered(context, move, memory);
  const { world } = observation;
  return {
    seen: observation,
    domain: world.domain,
    onDestination: world.live === 'destination',
    live: world.live,
    config: world.config,
    job: world.job,
    answers: world.answers,
    layered: world,
    decide: (current) => decideLayered(world, current),
    act: (current, decision, warn) =>
      actLayered(
        { context, observation, memory, warn },
        current,
        decision as Decision<LayeredStep> & { kind: 'act' },
      ),
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
    name === 'brake-guest' ||
    name === 'copy-layers'
  );
}
