// The guard of one copy: keeps the controller's state and tells the copy its speed, and people what it does.
import type { BytesPerSecond, Millis } from '../model/units.ts';
import { begin, type ControlState, control, type Doing } from './control.ts';
import { percentileMs } from './histogram.ts';
import { type LatencySample, meanMs, NOTHING, together } from './latency.ts';
import {
  BASELINE_ENOUGH,
  BASELINE_LEAST_MS,
  type GuardOptions,
  HUSH,
  type Policy,
  policyOf,
} from './policy.ts';

export interface GuardVerdict {
  /** How fast the copy may go until the next verdict; 0n: without a limit, as block-job-set-speed counts. */
  readonly limit: BytesPerSecond;
  /** The guest's mean write of late; undefined while it hardly writes. */
  readonly latencyMs: Millis | undefined;
  /** Its mean write alone; undefined while that is not known, because it has hardly written. */
  readonly baselineMs: Millis | undefined;
  readonly state: Doing | 'off';
}

/** What the guest felt over the whole copy, for the result. */
export interface GuardSummary {
  readonly baselineMs: Millis | undefined;
  readonly meanMs: Millis | undefined;
  /** Only with a histogram, as the next. */
  readonly baselineP95Ms: Millis | undefined;
  readonly p95Ms: Millis | undefined;
  /** The worst mean of all steps. */
  readonly worstMs: Millis | undefined;
  /** Share of the guest's writes, 0 to 1, that belong to steps whose mean was over the bound. */
  readonly overBound: number;
  /** How long the copy was held back for the guest's sake: was slowed, kept as it was, or listened. */
  readonly heldBackMs: Millis;
}

/**
 * Keeps the guest's mean write latency under `ratio` times its baseline by slowing the copy.
 *
 * Use: `baseline(sample)` a few times over a second or two before the copy begins (`superviseCopy` and `hearBaseline`
 * do it all), then `observe` every 200 ms or so. No effects and no clock: the samples tell how long they are.
 * After a crash a new guard begins with a new baseline; nothing of it is recorded.
 */
export class Guard {
  readonly #off: boolean;
  readonly #policy: Policy;
  #before: LatencySample = NOTHING;
  #control: ControlState | undefined;
  #felt: LatencySample = NOTHING;
  #worstMs: Millis | undefined;
  #overBound = 0;
  #heldBackMs = 0;

  /** @throws RangeError for a ratio that is not above 1 */
  constructor(options: GuardOptions) {
    this.#off = options.ratio === 'off';
    this.#policy = policyOf(options);
  }

  get off(): boolean {
    return this.#off;
  }

  /** Takes a sample of the guest while nothing is copied. */
  baseline(sample: LatencySample | undefined): void {
    if (sample !== undefined) this.#before = together(this.#before, sample);
  }

  /** Whether more samples of the guest alone would hardly tell more: it wrote enough, or not at all. */
  get heardEnough(): boolean {
    const { elapsedMs, writes } = this.#before;
    return (
      elapsedMs >= BASELINE_LEAST_MS && (writes.operations >= BASELINE_ENOUGH || writes.operations === 0)
    );
  }

  /** The speed with which the copy is to begin. */
  get first(): GuardVerdict {
    return this.#verdict(this.#state());
  }

  /**
   * Takes what happened since the last call and answers how fast the copy may go on.
   *
   * @param sample undefined when the domain does not run, or libvirt cannot be asked: the copy is then not held back
   * @param rate what the copy did since the last call, in bytes a second, as far as it tells; may come in lumps
   */
  observe(sample: LatencySample | undefined, rate: BytesPerSecond): GuardVerdict {
    const before = this.#state();
    if (sample !== undefined) this.#account(sample, before);
    this.#control = this.#off ? before : control(this.#policy, before, sample, Number(rate));
    return this.#verdict(this.#control);
  }

  summary(): GuardSummary {
    const { writes, histogram } = this.#felt;
    return {
      baselineMs: this.#state().baseline?.writeMs,
      meanMs: meanMs(writes),
      baselineP95Ms: this.#state().baseline?.p95Ms,
      p95Ms: histogram && percentileMs(histogram, 0.95),
      worstMs: this.#worstMs,
      overBound: writes.operations > 0 ? this.#overBound / writes.operations : 0,
      heldBackMs: this.#heldBackMs,
    };
  }

  #state(): ControlState {
    this.#control ??= begin(this.#policy, this.#before);
    return this.#control;
  }

  #account(sample: LatencySample, { baseline, doing }: ControlState): void {
    this.#felt = together(this.#felt, sample);
    if (!this.#off && doing !== 'free' && doing !== 'rising') this.#heldBackMs += sample.elapsedMs;
    const mean = meanMs(sample.writes);
    if (mean === undefined) return;
    this.#worstMs = Math.max(this.#worstMs ?? 0, mean);
    const bound = (baseline?.writeMs ?? Number.POSITIVE_INFINITY) * this.#policy.ratio;
    if (mean > bound) this.#overBound += sample.writes.operations;
  }

  #verdict(state: ControlState): GuardVerdict {
    const { cap } = this.#policy;
    const wanted = this.#off ? cap : state.listening === undefined ? state.limit : Math.min(cap, HUSH);
    return {
      limit: Number.isFinite(wanted) ? BigInt(Math.round(wanted)) : 0n,
      latencyMs: state.latest && meanMs(state.latest.writes),
      baselineMs: state.baseline?.writeMs,
      state: this.#off ? 'off' : state.doing,
    };
  }
}
