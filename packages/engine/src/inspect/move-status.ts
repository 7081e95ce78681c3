// How an open move stands, and what `resume` would do next. Changes nothing.
import { journaledProgress, type LayersStatus } from '../layered/copies.ts';
import type { Decision } from '../model/decision.ts';
import type { LegJob, Place } from '../model/layered-world.ts';
import type { MoveRecord } from '../model/record.ts';
import type { Job, World } from '../model/world.ts';
import { newMemory } from '../observe/memory.ts';
import { isAtWork } from '../run/at-work.ts';
import type { Context } from '../run/context.ts';
import { type AnyStep, look } from '../run/strategy.ts';

export interface MoveStatus {
  /** As it stands on the host. */
  readonly move: MoveRecord;
  readonly domain: World['domain'];
  /** Which image the guest runs on. */
  readonly live: Place;
  /** Which image the next boot uses. */
  readonly config: Place;
  readonly job: Job | LegJob;
  /** Strategy `layered`: what the journals of the copies say, whole windows only. */
  readonly layers: LayersStatus | undefined;
  /** A blockferry carries it out at this moment; undefined: nobody can tell. */
  readonly atWork: boolean | undefined;
  /** What a blockferry that ran the move now would do first. */
  readonly next: Decision<AnyStep>;
}

/** @throws as `observe` does */
export async function statusOf(context: Context, move: MoveRecord): Promise<MoveStatus> {
  const seen = await look(context, move, newMemory());
  const atWork = await isAtWork(context.host, { domain: move.domain, parts: [move.disk] });
  const current = seen.seen.stored ?? move;
  const { domain, live, config, job } = seen;
  const layers = current.layered && (await journaledProgress(context, current));
  return { move: current, domain, live, config, job, layers, atWork, next: seen.decide(current) };
}
