// How an open move stands, and what `resume` would do next. Changes nothing.
import { decide } from '../decide/decide.ts';
import type { Decision } from '../model/decision.ts';
import type { MoveRecord } from '../model/record.ts';
import type { World } from '../model/world.ts';
import { newMemory } from '../observe/memory.ts';
import { observe } from '../observe/observe.ts';
import type { Context } from '../run/context.ts';

export interface MoveStatus {
  /** As it stands on the host. */
  readonly move: MoveRecord;
  readonly domain: World['domain'];
  /** Which image the guest runs on. */
  readonly live: World['live'];
  /** Which image the next boot uses. */
  readonly config: World['config'];
  readonly job: World['job'];
  /** What a blockferry that ran the move now would do first. */
  readonly next: Decision;
}

/** @throws as `observe` does */
export async function statusOf(context: Context, move: MoveRecord): Promise<MoveStatus> {
  const { world, stored } = await observe(context, move, newMemory());
  const current = stored ?? move;
  const { domain, live, config, job } = world;
  return { move: current, domain, live, config, job, next: decide(world, current) };
}
