// The guard at work on a copy that only counts what it is told.
import { describe, expect, it } from 'vitest';
import { Guard, type GuardVerdict } from './guard.ts';
import type { LatencySample } from './latency.ts';
import { hearBaseline, superviseCopy } from './supervise.ts';

const sample = (operations: number, eachMs: number): LatencySample => ({
  elapsedMs: 200,
  writes: { operations, ms: operations * eachMs },
  flushes: { operations: 0, ms: 0 },
  writtenBytes: operations * 4096,
});

/** Answers with each of these in turn, then stops the guard; an Error among them is thrown. */
function source(answers: readonly (LatencySample | Error | undefined)[], stop: AbortController) {
  let next = 0;
  return async (): Promise<LatencySample | undefined> => {
    const answer = answers[next++];
    if (next >= answers.length) stop.abort();
    if (answer instanceof Error) throw answer;
    return answer;
  };
}

describe('hearing the baseline', () => {
  it('takes the guest as it is while nothing is copied, whatever fails in between', async () => {
    const stop = new AbortController();
    const guard = new Guard({ ratio: 2 });
    const answers = [undefined, sample(50, 2), new Error('lost'), sample(50, 4)];
    await hearBaseline({ guard, sample: source(answers, stop), signal: stop.signal, everyMs: 1 });
    expect(guard.first).toMatchObject({ baselineMs: 3, state: 'rising' });
  });

  it.each([
    ['writes a lot', sample(150, 1), 3],
    ['writes seldom', sample(2, 1), 8],
    ['does not write', sample(0, 0), 3],
  ])('of a guest that %s takes no longer than it must', async (_, each, steps) => {
    const guard = new Guard({ ratio: 2 });
    let samples = 0;
    const sampled = async () => {
      samples++;
      return samples === 1 ? undefined : each;
    };
    await hearBaseline({ guard, sample: sampled, signal: AbortSignal.timeout(60_000) });
    expect(samples).toBe(1 + steps);
  });

  it('is not done for a guard that is off', async () => {
    const guard = new Guard({ ratio: 'off' });
    const sampled = () => Promise.reject(new Error('asked'));
    await hearBaseline({ guard, sample: sampled, signal: AbortSignal.timeout(60_000) });
    expect(guard.first.state).toBe('off');
  });
});

describe('a copy that is supervised', () => {
  it('begins at the guard’s speed, and is told every change once', async () => {
    const stop = new AbortController();
    const guard = new Guard({ ratio: 2 });
    guard.baseline(sample(100, 1));
    const speeds: bigint[] = [];
    const verdicts: GuardVerdict[] = [];
    await superviseCopy({
      guard,
      sample: source([sample(100, 4), sample(100, 4), sample(100, 1.9), sample(100, 9)], stop),
      signal: stop.signal,
      everyMs: 1,
      copied: () => 0n,
      setSpeed: async (limit) => {
        speeds.push(limit);
      },
      report: (verdict) => verdicts.push(verdict),
    });
    const first = 64n << 20n;
    expect(speeds).toEqual([first, first / 2n, expect.any(BigInt)]);
    expect(verdicts.map(({ state }) => state)).toEqual([
      'rising',
      'yielding',
      'yielding',
      'holding',
      'yielding',
    ]);
  });

  it('that could not be told is told again, and a domain that is gone does not hold it back', async () => {
    const stop = new AbortController();
    const guard = new Guard({ ratio: 2 });
    const speeds: bigint[] = [];
    await superviseCopy({
      guard,
      sample: source([new Error('no domain'), new Error('no domain'), undefined], stop),
      signal: stop.signal,
      everyMs: 1,
      copied: () => 0n,
      setSpeed: async (limit) => {
        speeds.push(limit);
        if (speeds.length < 3) throw new Error('no such job');
      },
    });
    expect(speeds).toEqual([0n, 0n, 0n]);
  });
});
