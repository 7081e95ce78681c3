// How far the guest is from its bound: the latest requests held against the baseline. Pure.
import type { Millis } from '../model/units.ts';
import { percentileMs, totalOf } from './histogram.ts';
import { type LatencySample, meanMs, type Tally } from './latency.ts';
import {
  ENOUGH,
  ENOUGH_FOR_P95,
  FEW,
  FEW_FOR_P95,
  NEGLIGIBLE_MS,
  OTHER_LOAD,
  PATIENCE_MS,
  THIN,
} from './policy.ts';

/** How the guest fares while nothing is copied. Undefined: it made too few such requests to tell. */
export interface Baseline {
  readonly writeMs: Millis | undefined;
  readonly flushMs: Millis | undefined;
  readonly p95Ms: Millis | undefined;
  /** Its load, to notice when it becomes another. */
  readonly writesPerSecond: number;
  readonly bytesPerWrite: number;
}

export type Judgement =
  /** Wait for more requests. */
  | { readonly kind: 'collecting' }
  /** The guest hardly writes: there is no latency to protect. */
  | { readonly kind: 'quiet' }
  /** It writes, and what it feels alone is not known. */
  | { readonly kind: 'no-baseline' }
  /** Strain above 1: over the bound, by so much. Headroom: 1 at the baseline, 0 at the bound. */
  | { readonly kind: 'felt'; readonly strain: number; readonly headroom: number };

/** @returns undefined when there were too few writes to tell */
export function baselineOf(heard: LatencySample): Baseline | undefined {
  const { operations } = heard.writes;
  if (operations < FEW || heard.elapsedMs <= 0) return undefined;
  return {
    writeMs: meanMs(heard.writes),
    flushMs: heard.flushes.operations >= FEW ? meanMs(heard.flushes) : undefined,
    p95Ms: p95Of(heard),
    writesPerSecond: (operations * 1000) / heard.elapsedMs,
    bytesPerWrite: heard.writtenBytes / operations,
  };
}

/**
 * Holds what was collected against the baseline. The worst of writes, flushes and the 95th percentile counts; that one takes
 * more requests to tell, which are waited for while the means are well.
 */
export function judge(pool: LatencySample, baseline: Baseline | undefined, ratio: number): Judgement {
  const { operations } = pool.writes;
  const waitedEnough = pool.elapsedMs >= PATIENCE_MS;
  if (operations < ENOUGH && !waitedEnough) return { kind: 'collecting' };
  if (operations < FEW) return { kind: 'quiet' };
  if (baseline === undefined) return { kind: 'no-baseline' };
  const means = [
    strainOf(meanOf(pool.writes), baseline.writeMs, ratio),
    strainOf(meanOf(pool.flushes), baseline.flushMs, ratio),
  ].filter((strain) => strain !== undefined);
  if (means.length === 0) return { kind: 'no-baseline' };
  const tellsP95 = pool.histogram !== undefined && baseline.p95Ms !== undefined;
  const isWell = means.every((strain) => strain <= 1);
  if (tellsP95 && isWell && operations < ENOUGH_FOR_P95 && !waitedEnough) return { kind: 'collecting' };
  const strains = [...means, strainOf(p95Of(pool, deviation), baseline.p95Ms, ratio) ?? 0];
  const strain = Math.max(...strains);
  return { kind: 'felt', strain, headroom: (1 - strain) / (1 - 1 / ratio) };
}

/** Does the guest write so differently that its baseline no longer says anything of it? */
export function isOtherLoad(pool: LatencySample, baseline: Baseline): boolean {
  const { operations } = pool.writes;
  if (operations < ENOUGH) return false;
  const perSecond = (operations * 1000) / pool.elapsedMs;
  const size = pool.writtenBytes / operations;
  // Fewer writes are no sign: a guest that waits for each before the next writes less because we copy.
  const oftener = perSecond > OTHER_LOAD * baseline.writesPerSecond;
  const larger = size > OTHER_LOAD * baseline.bytesPerWrite || size * OTHER_LOAD < baseline.bytesPerWrite;
  return oftener || larger;
}

/** Do two hearings agree? Unknown ones have nothing to disagree about. */
export function alike(one: Baseline | undefined, other: Baseline | undefined): boolean {
  if (one?.writeMs === undefined || other?.writeMs === undefined) return true;
  const [low, high] = [Math.min(one.writeMs, other.writeMs), Math.max(one.writeMs, other.writeMs)];
  return high <= 1.5 * low || high <= NEGLIGIBLE_MS;
}

/** The same load heard twice: the mean of both, so that one odd second does not move the bound by its whole error. */
export function blend(old: Baseline, heard: Baseline): Baseline {
  const mean = (one: number | undefined, other: number | undefined) =>
    one === undefined || other === undefined ? (other ?? one) : Math.sqrt(one * other);
  return {
    ...heard,
    writeMs: mean(old.writeMs, heard.writeMs),
    flushMs: mean(old.flushMs, heard.flushMs),
    p95Ms: mean(old.p95Ms, heard.p95Ms),
  };
}

/** A mean of few requests is divided by what chance may have made of it. */
function meanOf(tally: Tally): Millis | undefined {
  const mean = tally.operations >= FEW ? meanMs(tally) : undefined;
  return mean === undefined || tally.operations >= ENOUGH ? mean : mean / THIN;
}

function strainOf(now: Millis | undefined, alone: Millis | undefined, ratio: number): number | undefined {
  if (now === undefined || alone === undefined) return undefined;
  return now / Math.max(alone * ratio, NEGLIGIBLE_MS);
}

/** @param less by how much the share is smaller, for so many requests */
function p95Of({ histogram }: LatencySample, less = (_requests: number) => 0): Millis | undefined {
  const requests = histogram === undefined ? 0 : totalOf(histogram);
  if (histogram === undefined || requests < FEW_FOR_P95) return undefined;
  return percentileMs(histogram, 0.95 - less(requests));
}

/** Standard deviation of the share of requests below the 95th percentile: what chance does to so few of them. */
function deviation(requests: number): number {
  return Math.sqrt((0.95 * 0.05) / requests);
}
