// The guard at work: hears the baseline before a copy, then samples and sets the copy's speed until told to stop.
import { setTimeout as sleep } from 'node:timers/promises';
import type { BytesPerSecond, Millis } from '../model/units.ts';
import type { Guard, GuardVerdict } from './guard.ts';
import type { LatencySample } from './latency.ts';

export interface SuperviseOptions {
  readonly guard: Guard;
  /** What the guest did since the last call; a failure counts as "does not run". */
  readonly sample: () => Promise<LatencySample | undefined>;
  readonly signal: AbortSignal;
  readonly everyMs?: Millis;
}

export interface SupervisedCopy extends SuperviseOptions {
  /** Bytes copied so far, or read back if that is all that goes on; it may come late and fall when a job begins. */
  readonly copied: () => bigint;
  /** Limits the running copy, 0n for no limit. Called only when the limit changes. */
  readonly setSpeed: (limit: BytesPerSecond) => Promise<void>;
  readonly report?: (verdict: GuardVerdict) => void;
}

const EVERY_MS: Millis = 200;
const BASELINE_MS: Millis = 1_500;

/** Samples the guest for half a second to a second and a half while nothing is copied. Does nothing for a guard that is off. */
export async function hearBaseline(options: SuperviseOptions): Promise<void> {
  const { guard, signal, everyMs = EVERY_MS } = options;
  if (guard.off) return;
  const steps = Math.ceil(BASELINE_MS / everyMs);
  await sampleOrNothing(options.sample);
  for (let step = 0; step < steps && !signal.aborted && !guard.heardEnough; step++) {
    await pause(everyMs, signal);
    guard.baseline(await sampleOrNothing(options.sample));
  }
}

/**
 * Adjusts the copy's speed until `signal` aborts; returns then. A setSpeed that fails is tried again at the next
 * verdict, for the job may just have ended and the next not have begun.
 */
export async function superviseCopy(copy: SupervisedCopy): Promise<void> {
  const { guard, signal, everyMs = EVERY_MS } = copy;
  let said: BytesPerSecond | undefined;
  const obey = async (verdict: GuardVerdict) => {
    copy.report?.(verdict);
    if (verdict.limit === said) return;
    said = await copy.setSpeed(verdict.limit).then(
      () => verdict.limit,
      () => undefined,
    );
  };
  await obey(guard.first);
  let last = { at: performance.now(), copied: copy.copied() };
  while (!signal.aborted) {
    await pause(everyMs, signal);
    if (signal.aborted) return;
    const sample = await sampleOrNothing(copy.sample);
    const now = { at: performance.now(), copied: copy.copied() };
    const copied = now.copied > last.copied ? Number(now.copied - last.copied) : 0;
    const rate = BigInt(Math.round((copied * 1000) / Math.max(1, now.at - last.at)));
    last = now;
    await obey(guard.observe(sample, rate));
  }
}

async function sampleOrNothing(
  sample: () => Promise<LatencySample | undefined>,
): Promise<LatencySample | undefined> {
  return await sample().catch(() => undefined);
}

/** Ends early, without an error, when the signal aborts. */
async function pause(ms: Millis, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
