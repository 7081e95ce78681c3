import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CALLS_PER_JOB_LOCK, JobLocks } from './job-locks.ts';
import { type Candidate, PLACES, PLACES_FOR_JOBS, PLACES_FOR_WAITING, Places } from './places.ts';
import type { Pace } from './procedure.ts';

class Call implements Candidate {
  started = false;
  readonly pace: Pace;
  readonly locks: string | undefined;

  constructor(pace: Pace, locks?: string) {
    this.pace = pace;
    this.locks = locks;
  }

  start(): void {
    this.started = true;
  }
}

function enter(places: Places, pace: Pace, locks?: string): Call {
  const call = new Call(pace, locks);
  places.enter(call);
  return call;
}

describe('places', () => {
  test('calls that may wait never take the last one: a call that does not wait gets it at once', () => {
    const places = new Places(true, new JobLocks());
    const waiting = Array.from({ length: 10 }, () => enter(places, 'waits'));
    expect(waiting.filter((call) => call.started)).toHaveLength(PLACES_FOR_WAITING);
    expect(enter(places, 'instant').started).toBe(true);
    expect(enter(places, 'instant').started).toBe(false);
  });

  test('without a reserve all go to whoever comes', () => {
    const places = new Places(false, new JobLocks());
    const calls = Array.from({ length: 10 }, () => enter(places, 'long'));
    expect(calls.filter((call) => call.started)).toHaveLength(PLACES);
  });

  test('calls that need job locks leave a place to those that only look', () => {
    const places = new Places(true, new JobLocks());
    const jobs = ['a', 'b', 'c'].map((domain) => enter(places, 'waits', domain));
    expect(jobs.map((call) => call.started)).toEqual([true, true, false]);
    expect(enter(places, 'waits').started).toBe(true);
    expect(enter(places, 'waits').started).toBe(false);
  });

  test('no more than two calls at a time go for one job lock, on all lanes together', () => {
    const locks = new JobLocks();
    const [one, two] = [new Places(false, locks), new Places(false, locks)];
    const [first, , third] = [enter(one, 'waits', 'a'), enter(one, 'waits', 'a'), enter(two, 'waits', 'a')];
    expect(third.started).toBe(false);
    expect(two.isHeldByLock(third)).toBe(true);
    expect(enter(two, 'waits', 'b').started).toBe(true);
    one.release(first);
    expect(third.started).toBe(true);
  });

  test('a lane that is lost gives its locks back', () => {
    const locks = new JobLocks();
    const [lost, other] = [new Places(false, locks), new Places(false, locks)];
    const calls = [enter(lost, 'waits', 'a'), enter(lost, 'waits', 'a')];
    const next = enter(other, 'waits', 'a');
    lost.abandon(calls);
    expect(next.started).toBe(true);
  });

  test('a call that leaves the line is never started', () => {
    const places = new Places(true, new JobLocks());
    const first = Array.from({ length: PLACES_FOR_WAITING }, () => enter(places, 'waits'));
    const late = enter(places, 'waits');
    expect(places.leave(late)).toBe(true);
    for (const call of first) places.release(call);
    expect(late.started).toBe(false);
    expect(places.load).toBe(0);
  });

  test('a call that has started cannot leave the line', () => {
    const places = new Places(true, new JobLocks());
    expect(places.leave(enter(places, 'instant'))).toBe(false);
  });

  test('however calls come and go, no more than allowed are in flight and none is forgotten', () => {
    const paces = fc.constantFrom<Pace>('instant', 'waits', 'pinned', 'long');
    const comes = fc.record({ pace: paces, locks: fc.constantFrom('a', 'b', undefined) });
    const moves = fc.array(fc.oneof(comes, fc.constant('release' as const), fc.constant('leave' as const)));
    fc.assert(
      fc.property(moves, fc.boolean(), (steps, reserve) => {
        const places = new Places(reserve, new JobLocks());
        let calls: Call[] = [];
        for (const step of steps) {
          if (step === 'release') {
            const done = calls.find((call) => call.started);
            if (done === undefined) continue;
            calls = calls.filter((call) => call !== done);
            places.release(done);
          } else if (step === 'leave') {
            const gone = calls.find((call) => !call.started);
            if (gone === undefined) continue;
            calls = calls.filter((call) => call !== gone);
            expect(places.leave(gone)).toBe(true);
          } else calls.push(enter(places, step.pace, step.pace === 'instant' ? undefined : step.locks));
          const inFlight = calls.filter((call) => call.started);
          const waiting = inFlight.filter((call) => call.pace !== 'instant');
          const allowed = reserve ? PLACES_FOR_WAITING : PLACES;
          expect(inFlight.length).toBeLessThanOrEqual(PLACES);
          expect(waiting.length).toBeLessThanOrEqual(allowed);
          for (const domain of ['a', 'b']) {
            const onIt = inFlight.filter((call) => call.locks === domain);
            expect(onIt.length).toBeLessThanOrEqual(CALLS_PER_JOB_LOCK);
          }
          expect(places.load).toBe(calls.length);
          // Nobody waits in front of an empty place.
          const standing = calls.filter((call) => !call.started);
          const jobs = inFlight.filter((call) => call.locks !== undefined).length;
          if (inFlight.length < PLACES) {
            expect(standing.every((call) => call.pace !== 'instant')).toBe(true);
            const mayStart = (call: Call) =>
              call.locks === undefined ||
              (!places.isHeldByLock(call) && (!reserve || jobs < PLACES_FOR_JOBS));
            if (waiting.length < allowed) expect(standing.filter(mayStart)).toEqual([]);
          }
        }
      }),
    );
  });
});
