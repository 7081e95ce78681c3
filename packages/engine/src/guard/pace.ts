// How much of what it is allowed the copy uses, from reports that come late and in lumps. Pure.
import type { Millis } from '../model/units.ts';

export interface Pace {
  /** What it did and what it was allowed, in bytes a second, both smoothed alike so that their quotient is fair. */
  readonly rate: number;
  readonly allowed: number;
  /** The most it ever did. */
  readonly best: number;
  /** How long it has told of nothing done. */
  readonly silentMs: Millis;
}

/** A storage daemon is asked every 200 ms, as often as we look: one interval may show nothing, the next one double. */
const SMOOTHED_MS: Millis = 500;
/** Whoever tells of nothing for so long does something that he does not tell of, such as reading back. */
const SILENT_MS: Millis = 1_000;

export function paced(before: Pace | undefined, rate: number, limit: number, elapsedMs: Millis): Pace {
  const silentMs = rate > 0 ? 0 : (before?.silentMs ?? 0) + elapsedMs;
  // Without a limit there is no share of it: it uses what it can.
  const allowed = Number.isFinite(limit) ? limit : Math.max(rate, before?.rate ?? 0);
  // Until it begins to tell, nothing is known of it.
  if (before === undefined || before.best === 0) return { rate, allowed, best: rate, silentMs };
  const weight = 1 - Math.exp(-elapsedMs / SMOOTHED_MS);
  const smooth = (old: number, latest: number) => old + (latest - old) * weight;
  const smoothed = { rate: smooth(before.rate, rate), allowed: smooth(before.allowed, allowed) };
  return { ...smoothed, best: Math.max(before.best, smoothed.rate), silentMs };
}

/** 0 to 1; undefined while it does not tell. */
export function usedShare(pace: Pace | undefined): number | undefined {
  if (pace === undefined || pace.silentMs >= SILENT_MS) return undefined;
  return pace.allowed > 0 ? Math.min(1, pace.rate / pace.allowed) : 1;
}
