import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Candidate, PLACES, PLACES_FOR_WAITING, Places } from './places.ts';
import type { Pace } from './procedure.ts';

class Call implements Candidate {
  started = false;
  readonly pace: Pace;

  constructor(pace: Pace) {
    this.pace = pace;
  }

  start(): void {
    this.started = true;
  }
}

function enter(places: Places, pace: Pace): Call {
  const call = new Call(pace);
  places.enter(call);
  return call;
}

describe('places', () => {
  test('calls that may wait never take the last one: a call that does not wait gets it at once', () => {
    const places = new Places(true);
    const waiting = Array.from({ length: 10 }, () => enter(places, 'waits'));
    expect(waiting.filter((call) => call.started)).toHaveLength(PLACES_FOR_WAITING);
    expect(enter(places, 'instant').started).toBe(true);
    expect(enter(places, 'instant').started).toBe(false);
  });

  test('without a reserve all go to whoever comes', () => {
    const places = new Places(false);
    const calls = Array.from({ length: 10 }, () => enter(places, 'long'));
    expect(calls.filter((call) => call.started)).toHaveLength(PLACES);
  });

  test('a call that leaves the line is never started', () => {
    const places = new Places(true);
    const first = Array.from({ length: PLACES_FOR_WAITING }, () => enter(places, 'waits'));
    const late = enter(places, 'waits');
    expect(places.leave(late)).toBe(true);
    for (const call of first) places.release(call);
    expect(late.started).toBe(false);
    expect(places.load).toBe(0);
  });

  test('a call that has started cannot leave the line', () => {
    const places = new Places(true);
    expect(places.leave(enter(places, 'instant'))).toBe(false);
  });

  test('however calls come and go, no more than allowed are in flight and none is forgotten', () => {
    const paces = fc.constantFrom<Pace>('instant', 'waits', 'pinned', 'long');
    const moves = fc.array(fc.oneof(paces, fc.constant('release' as const), fc.constant('leave' as const)));
    fc.assert(
      fc.property(moves, fc.boolean(), (steps, reserve) => {
        const places = new Places(reserve);
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
          } else calls.push(enter(places, step));
          const inFlight = calls.filter((call) => call.started);
          const waiting = inFlight.filter((call) => call.pace !== 'instant');
          const allowed = reserve ? PLACES_FOR_WAITING : PLACES;
          expect(inFlight.length).toBeLessThanOrEqual(PLACES);
          expect(waiting.length).toBeLessThanOrEqual(allowed);
          expect(places.load).toBe(calls.length);
          // Nobody waits in front of an empty place.
          const standing = calls.filter((call) => !call.started);
          if (inFlight.length < PLACES) {
            expect(standing.every((call) => call.pace !== 'instant')).toBe(true);
            if (waiting.length < allowed) expect(standing).toEqual([]);
          }
        }
      }),
    );
  });
});
