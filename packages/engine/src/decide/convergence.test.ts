// When a copy counts as standing still or as losing against the guest.
import { describe, expect, it } from 'vitest';
import { paceOf, recent, type Sample } from './convergence.ts';

function samples(
  seconds: number,
  remaining: (at: number) => number,
  copied: (at: number) => number,
): Sample[] {
  return Array.from({ length: seconds * 2 + 1 }, (_, index) => {
    const at = index * 500;
    const cur = BigInt(Math.round(copied(at)));
    return { at, cur, end: cur + BigInt(Math.round(remaining(at))) };
  });
}

describe('the pace of a copy', () => {
  it('is unknown at first', () => {
    expect(paceOf([])).toEqual({ kind: 'unknown' });
    expect(
      paceOf(
        samples(
          2,
          () => 1e9,
          (at) => at * 1e5,
        ),
      ),
    ).toEqual({ kind: 'unknown' });
  });

  it('is moving while what remains shrinks', () => {
    expect(
      paceOf(
        samples(
          30,
          (at) => 1e9 - at * 2e4,
          (at) => at * 2e4,
        ),
      ).kind,
    ).toBe('moving');
  });

  it('is diverging when bytes are copied but what remains does not shrink', () => {
    expect(
      paceOf(
        samples(
          30,
          () => 5e8,
          (at) => at * 2e5,
        ),
      ).kind,
    ).toBe('diverging');
  });

  it('is diverging when one byte is left for ever, as libvirt says while QEMU has not counted anew', () => {
    expect(
      paceOf(
        samples(
          30,
          () => 1,
          (at) => at * 2e5,
        ),
      ).kind,
    ).toBe('diverging');
  });

  it('stands still when nothing is copied though something remains', () => {
    expect(
      paceOf(
        samples(
          8,
          () => 1000,
          () => 5000,
        ),
      ),
    ).toEqual({ kind: 'still', forMs: 8000 });
  });

  it('is never standing still once nothing remains: an idle guest is no fault', () => {
    expect(
      paceOf(
        samples(
          60,
          () => 0,
          () => 5000,
        ),
      ).kind,
    ).toBe('moving');
  });

  it('is judged the same when old samples are dropped', () => {
    const all = samples(
      120,
      () => 5e8,
      (at) => at * 2e5,
    );
    expect(paceOf(recent(all))).toEqual(paceOf(all));
    expect(recent(all).length).toBeLessThan(60);
  });
});
