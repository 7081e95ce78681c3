// What the guard is told to keep, and the constants of how it goes about it, each with its reason.
import type { BytesPerSecond, Millis } from '../model/units.ts';

export interface GuardOptions {
  /** How many times its own baseline the guest's mean write latency may be; 'off' leaves the copy alone. */
  readonly ratio: number | 'off';
  /** The most that the copy may do, whatever the guest feels (`--bandwidth`). */
  readonly bandwidth?: BytesPerSecond | undefined;
  /** The least, but for the moments of listening: so that every copy ends. Default 4 MiB/s. */
  readonly floor?: BytesPerSecond | undefined;
}

/** The same as plain numbers: Infinity for no bandwidth. */
export interface Policy {
  readonly ratio: number;
  readonly cap: number;
  readonly floor: number;
}

const MIB = 1024 * 1024;

/** One chunk of the storage daemon's a second: what the copy may do at least. */
const FLOOR: BytesPerSecond = 4n << 20n;
/**
 * The copy's speed while the guest is listened to. Not a pause: a job that is paused by somebody else must stay
 * paused. One chunk may still be sent; the job is woken by the next change of its speed (QEMU, block/backup.c,
 * backup_set_speed).
 */
export const HUSH = 64 * 1024;
/** How fast a copy begins beside a guest that writes: doubled every step, it finds 1 GiB/s in a second. */
export const START = 64 * MIB;

/**
 * The guest is heard for at least so long before a copy begins; then until it has written so often, which gives its mean
 * within some percent. One that did not write at all is heard when it wakes.
 */
export const BASELINE_LEAST_MS: Millis = 500;
export const BASELINE_ENOUGH = 200;

/** Requests that make a mean worth acting on: one slow request in 20 does not double it unless it is 20 times as slow. */
export const ENOUGH = 20;
/** Requests below which there is no mean at all. */
export const FEW = 4;
/** Requests that make a 95th percentile to act on: ten of them are above it, give or take three. */
export const ENOUGH_FOR_P95 = 200;
/** Requests below which there is none: two of them are above it. A guest that is listened to gives LISTEN_ENOUGH. */
export const FEW_FOR_P95 = 40;
/** How long requests are collected when they come too seldom for ENOUGH. */
export const PATIENCE_MS: Millis = 1_000;
/** A guest with only a FEW requests in PATIENCE_MS has to be this much over its bound before the copy yields. */
export const THIN = 1.5;

/**
 * Headroom is 1 at the baseline and 0 at the bound. Closer than this the copy is left as it is, so that it does not
 * swing, and because the 95th percentile grows faster than the mean (seen: 2.4 times its own, where the mean was 1.5 times). With
 * more than AMPLE it may be doubled.
 */
export const CLOSE = 0.45;
export const AMPLE = 0.6;
/** A copy that uses more than this of what it is allowed is held back by it. */
export const BINDS = 0.7;
/** Latencies that nobody feels, whatever their ratio: a disk in the host's memory answers in microseconds. */
export const NEGLIGIBLE_MS: Millis = 0.2;

/**
 * How long the first samples of a silence are not counted: what was under way must end first. 8 workers with chunks of
 * 4 MiB keep 32 MiB in flight, a third of a second on a disk of 100 MB/s.
 */
export const SETTLE_MS: Millis = 300;
/** How long the copy keeps still at most to hear the guest alone; it ends as soon as LISTEN_ENOUGH requests came. */
export const LISTEN_MS: Millis = 1_300;
export const LISTEN_ENOUGH = 60;
/** Half a second of silence in 30 s costs the copy 1.7 %. */
export const LISTEN_EVERY_MS: Millis = 30_000;
/** Not oftener than this, whatever the reason. */
export const LISTEN_REST_MS: Millis = 8_000;
/** After two hearings that did not agree: what else is at work changes by the second. Doubled while they agree. */
export const LISTEN_SOON_MS: Millis = 5_000;
/** Yielding so often in a row, with this much of the strain left, was in vain: it may not be us. Then so long a rest. */
export const IN_VAIN = 3;
export const HELPED = 0.7;
export const LISTEN_DOUBT_MS: Millis = 2_500;
/** A guest that writes so many times as often, or as large, as at its baseline has a new one. */
export const OTHER_LOAD = 2;

/** @throws RangeError for a ratio that could never be kept */
export function policyOf(options: GuardOptions): Policy {
  const ratio = options.ratio === 'off' ? Number.POSITIVE_INFINITY : options.ratio;
  if (!(ratio > 1)) throw new RangeError(`guard ratio ${ratio}: not above 1`);
  const bandwidth = options.bandwidth ?? 0n;
  const cap = bandwidth > 0n ? Number(bandwidth) : Number.POSITIVE_INFINITY;
  return { ratio, cap, floor: Math.min(cap, Number(options.floor ?? FLOOR)) };
}
