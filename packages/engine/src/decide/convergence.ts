// Does the mirror get there? From samples of its progress: moving, standing still, or losing against the guest.
import type { Bytes, Millis } from '../model/units.ts';

export interface Sample {
  /** Milliseconds on any monotonic clock. */
  readonly at: Millis;
  readonly cur: Bytes;
  readonly end: Bytes;
}

export type Pace =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'moving' }
  /** Nothing was copied for a while, though something remains. */
  | { readonly kind: 'still'; readonly forMs: Millis }
  /** Bytes are copied, but what remains does not get less: the guest writes as fast. */
  | { readonly kind: 'diverging' };

/** So long nothing may move before it counts as standing still. */
const STILL_AFTER_MS = 5_000;
/** So long what remains may fail to shrink before it counts as diverging. */
const DIVERGING_AFTER_MS = 10_000;
/** What remains must shrink by a twentieth within that time. */
const SHRINK = 20n;

/** Samples oldest first; those older than needed do no harm. */
export function paceOf(samples: readonly Sample[]): Pace {
  const last = samples.at(-1);
  if (last === undefined) return { kind: 'unknown' };
  const remaining = last.end - last.cur;
  if (remaining <= 0n) return { kind: 'moving' };
  const forMs = stillFor(samples);
  if (forMs !== undefined) return { kind: 'still', forMs };
  const then = samples.findLast((sample) => last.at - sample.at >= DIVERGING_AFTER_MS);
  if (then === undefined) return { kind: 'unknown' };
  const before = then.end - then.cur;
  // QEMU counts what the guest dirtied only between two chunks, so that libvirt often tells of one byte left, for ever.
  return (before - remaining) * SHRINK < before ? { kind: 'diverging' } : { kind: 'moving' };
}

/** Since when nothing has moved; undefined: it has, or that is not long. */
export function stillFor(samples: readonly Pick<Sample, 'at' | 'cur'>[]): Millis | undefined {
  const last = samples.at(-1);
  if (last === undefined) return undefined;
  const lastMove = samples.findLast((sample, index) => index > 0 && sample.cur !== samples[index - 1]?.cur);
  const forMs = last.at - (lastMove?.at ?? samples[0]?.at ?? last.at);
  return forMs >= STILL_AFTER_MS ? forMs : undefined;
}

/** Drops what `paceOf` no longer looks at, so that a move of days keeps few samples. */
export function recent(samples: readonly Sample[]): Sample[] {
  const last = samples.at(-1);
  return last === undefined ? [] : samples.filter((sample) => last.at - sample.at <= 2 * DIVERGING_AFTER_MS);
}
