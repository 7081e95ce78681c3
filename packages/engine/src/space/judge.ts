// How long the room for the guest's writes lasts, judged by how fast it shrinks. Pure.
import type { Bytes, Millis } from '../model/units.ts';

/** A look at the file system that takes the guest's writes. */
export interface SpaceSample {
  readonly atMs: Millis;
  readonly available: Bytes;
  /**
   * What the copy has written there by then, counted anew by each round: it ends by itself. 0n where that is another file
   * system.
   */
  readonly copied: Bytes;
}

export type SpaceState =
  | { readonly kind: 'enough' }
  /** At the present rate it is full before the copy is through. */
  | { readonly kind: 'short'; readonly lastsMs: Millis }
  /** Less is left than is kept free. */
  | { readonly kind: 'low' };

/** The rate is that of so much time; of less than so much, nothing is said. */
export const RATE_OVER_MS: Millis = 15_000;
const RATE_AT_LEAST_MS: Millis = 4_000;
/** The guest may write more, and the copy be slower, than just now. */
const SAFETY = 1.5;
/** Where nothing is known of how long the copy takes. */
const SOON_MS: Millis = 300_000;

/**
 * @param samples oldest first
 * @param floor below which it is low
 * @param neededMs how long the copy still takes; undefined: unknown
 */
export function judgeSpace(
  samples: readonly SpaceSample[],
  floor: Bytes,
  neededMs: Millis | undefined,
): SpaceState {
  // The next round, and the mirror, count from the beginning.
  const begun = samples.findLastIndex(({ copied }, at) => copied < (samples[at - 1]?.copied ?? 0n));
  const [first, last] = [samples[Math.max(0, begun)], samples.at(-1)];
  if (first === undefined || last === undefined) return { kind: 'enough' };
  if (last.available < floor) return { kind: 'low' };
  const elapsedMs = last.atMs - first.atMs;
  if (elapsedMs < RATE_AT_LEAST_MS) return { kind: 'enough' };
  const shrunk = first.available - last.available - (last.copied - first.copied);
  if (shrunk <= 0n) return { kind: 'enough' };
  const lastsMs = (Number(last.available) * elapsedMs) / Number(shrunk);
  const needed = neededMs === undefined ? SOON_MS : neededMs * SAFETY;
  return lastsMs < needed ? { kind: 'short', lastsMs } : { kind: 'enough' };
}
