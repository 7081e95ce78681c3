// The controller: from what the guest felt and what the copy did, how fast the copy may go next. Pure: its only clock
// is the length of the samples. Falls at once, rises slowly, remembers what hurt.
import type { Millis } from '../model/units.ts';
import { alike, type Baseline, baselineOf, blend, isOtherLoad, judge } from './judge.ts';
import { type LatencySample, NOTHING, together } from './latency.ts';
import { type Pace, paced, usedShare } from './pace.ts';
import {
  AMPLE,
  BINDS,
  CLOSE,
  HELPED,
  IN_VAIN,
  LISTEN_DOUBT_MS,
  LISTEN_ENOUGH,
  LISTEN_EVERY_MS,
  LISTEN_MS,
  LISTEN_REST_MS,
  LISTEN_SOON_MS,
  type Policy,
  SETTLE_MS,
  START,
} from './policy.ts';

export type Doing =
  /** The guest hardly writes, or does not run: the copy has the disk for itself. */
  | 'free'
  /** The guest is well: the copy gets faster, or as fast as it can. */
  | 'rising'
  /** Near the bound: as it is. */
  | 'holding'
  /** Over the bound: the copy yields. */
  | 'yielding'
  /** The copy is all but stopped for a moment, to hear the guest alone. */
  | 'listening';

/** Why the guest is listened to: it replaces the baseline, or refines it. */
interface Listening {
  readonly replaces: boolean;
  readonly elapsedMs: Millis;
  readonly heard: LatencySample;
}

export interface ControlState {
  /** Bytes a second; Infinity for no limit. */
  readonly limit: number;
  readonly baseline: Baseline | undefined;
  readonly doing: Doing;
  /** Requests since the last judgement. */
  readonly pool: LatencySample;
  /** The pool of the last judgement, to show. */
  readonly latest: LatencySample | undefined;
  readonly pace: Pace | undefined;
  /** The speed that was last found to hurt. */
  readonly ceiling: number | undefined;
  /** The next sample began before the limit was changed, and says nothing of it. */
  readonly stale: boolean;
  readonly listening: Listening | undefined;
  readonly sinceListenedMs: Millis;
  /** When the guest is listened to again for no other reason: the sooner the less two hearings agreed. */
  readonly listenAfterMs: Millis;
  /** How often in a row the copy yielded, and the strain when it began to. */
  readonly yielded: { readonly times: number; readonly from: number } | undefined;
}

/** The state in which a copy begins. `before`: what was sampled while nothing was copied, if anything. */
export function begin(policy: Policy, before: LatencySample): ControlState {
  const baseline = baselineOf(before);
  return {
    // Beside a guest that writes, gently. An idle one has no latency to protect; it is listened to when it wakes.
    limit: baseline === undefined ? policy.cap : Math.min(policy.cap, START),
    baseline,
    doing: baseline === undefined ? 'free' : 'rising',
    pool: NOTHING,
    latest: undefined,
    pace: undefined,
    ceiling: undefined,
    stale: false,
    listening: undefined,
    sinceListenedMs: baseline === undefined ? LISTEN_REST_MS : 0,
    listenAfterMs: LISTEN_EVERY_MS,
    yielded: undefined,
  };
}

/**
 * One step. `sample`: what the guest did since the last step, undefined when it does not run. `rate`: bytes a second
 * that the copy did over the same time.
 */
export function control(
  policy: Policy,
  state: ControlState,
  sample: LatencySample | undefined,
  rate: number,
): ControlState {
  if (sample === undefined)
    return { ...state, doing: 'free', limit: policy.cap, pool: NOTHING, listening: undefined };
  const sinceListenedMs = state.sinceListenedMs + sample.elapsedMs;
  if (state.listening !== undefined)
    return listen(policy, { ...state, sinceListenedMs }, sample, state.listening);
  const pace = paced(state.pace, rate, state.limit, sample.elapsedMs);
  if (state.stale) return { ...state, sinceListenedMs, pace, stale: false };
  const pool = together(state.pool, sample);
  return weigh(policy, { ...state, sinceListenedMs, pace, pool });
}

function weigh(policy: Policy, state: ControlState): ControlState {
  const { pool, baseline } = state;
  const judgement = judge(pool, baseline, policy.ratio);
  if (judgement.kind === 'collecting') return state;
  const judged: ControlState = { ...state, pool: NOTHING, latest: pool };
  if (judgement.kind === 'quiet') {
    return {
      ...judged,
      doing: 'free',
      limit: Math.min(policy.cap, faster(state, 2)),
      ceiling: undefined,
    };
  }
  const rested = state.sinceListenedMs >= LISTEN_REST_MS;
  const unknown = baseline === undefined || judgement.kind === 'no-baseline';
  if (unknown) return rested ? startListening(judged, true) : { ...judged, doing: 'holding' };
  const { strain, headroom } = judgement;
  if (strain > 1 ? seemsNotUs(policy, state, strain) : rested && isOtherLoad(pool, baseline))
    return startListening(judged, true);
  if (state.sinceListenedMs >= state.listenAfterMs) return startListening(judged, false);
  if (strain > 1) return fall(policy, judged, strain);
  if (headroom < CLOSE) return { ...judged, doing: 'holding', yielded: undefined };
  return rise(policy, judged, headroom);
}

/** The guest suffers and yielding does not help: perhaps the storage has become another, or somebody else is at work. */
function seemsNotUs(
  policy: Policy,
  { yielded, limit, sinceListenedMs }: ControlState,
  strain: number,
): boolean {
  if (limit <= policy.floor) return sinceListenedMs >= LISTEN_REST_MS;
  const inVain = yielded !== undefined && yielded.times >= IN_VAIN && strain > HELPED * yielded.from;
  return inVain && sinceListenedMs >= LISTEN_DOUBT_MS;
}

function fall(policy: Policy, state: ControlState, strain: number): ControlState {
  // From what it did, not from what it was allowed: a limit far above changes nothing when it is halved.
  const did = Number.isFinite(state.limit) ? state.limit * (usedShare(state.pace) ?? 1) : state.pace?.rate;
  const from = did !== undefined && did > 0 ? did : START;
  const limit = Math.max(policy.floor, from * clamp(1 / strain, 0.4, 0.9));
  const yielded = { times: (state.yielded?.times ?? 0) + 1, from: state.yielded?.from ?? strain };
  return { ...state, doing: 'yielding', limit, ceiling: from, stale: true, yielded };
}

function rise(policy: Policy, state: ControlState, headroom: number): ControlState {
  const { ceiling, limit } = state;
  const forgotten = ceiling !== undefined && limit > 1.15 * ceiling;
  const next = {
    ...state,
    doing: 'rising' as const,
    yielded: undefined,
    ceiling: forgotten ? undefined : ceiling,
  };
  if (ceiling === undefined || forgotten) {
    // Where nothing is known to hurt: doubled while the guest hardly feels it.
    return { ...next, limit: Math.min(policy.cap, faster(state, headroom > AMPLE ? 2 : 1.25)) };
  }
  // Back to just below what hurt in a few steps, then past it with care: the guest may have become lighter, and where it
  // hardly feels the copy, what hurt was a moment of something else.
  const near = 0.9 * ceiling;
  const careful = headroom > AMPLE ? 1.12 : 1.03;
  const step = limit < near ? Math.max(careful, 1 + (near - limit) / limit / 3) : careful;
  return { ...next, limit: Math.min(policy.cap, faster(state, step)) };
}

/** A limit that does not bind is left where it is: raised further it could not be lowered in time. */
function faster({ limit, pace }: ControlState, factor: number): number {
  const used = usedShare(pace);
  if (used !== undefined) return used > BINDS ? limit * factor : limit;
  return Math.max(limit, Math.min(limit * factor, 2 * (pace?.best ?? 0)));
}

function startListening(state: ControlState, replaces: boolean): ControlState {
  return { ...state, doing: 'listening', listening: { replaces, elapsedMs: 0, heard: NOTHING } };
}

function listen(policy: Policy, state: ControlState, sample: LatencySample, now: Listening): ControlState {
  const elapsedMs = now.elapsedMs + sample.elapsedMs;
  // A sample that began before what was under way had ended is not of the guest alone.
  const heard = now.elapsedMs < SETTLE_MS ? now.heard : together(now.heard, sample);
  if (heard.writes.operations < LISTEN_ENOUGH && elapsedMs < LISTEN_MS)
    return { ...state, listening: { ...now, elapsedMs, heard } };
  const fresh = baselineOf(heard);
  const { baseline } = state;
  const known =
    fresh === undefined || baseline === undefined || now.replaces
      ? (fresh ?? baseline)
      : blend(baseline, fresh);
  // Without a limit before, it begins as beside any guest that writes.
  const limit =
    Number.isFinite(state.limit) || known === undefined ? state.limit : Math.min(policy.cap, START);
  const agree = alike(baseline, fresh);
  const listenAfterMs = agree ? Math.min(LISTEN_EVERY_MS, 2 * state.listenAfterMs) : LISTEN_SOON_MS;
  // Speeds that hurt by another baseline need not hurt by this one.
  const ceiling = now.replaces ? undefined : state.ceiling;
  const over = {
    listening: undefined,
    sinceListenedMs: 0,
    stale: true,
    pool: NOTHING,
    ceiling,
    listenAfterMs,
  };
  const fresher = { baseline: known, yielded: undefined, limit };
  return { ...state, ...over, ...fresher, doing: known === undefined ? 'free' : 'holding' };
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
