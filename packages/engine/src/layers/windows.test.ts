// Windows cover a layer exactly, and sets of them survive being written down.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Cut, WindowSet, windowAt, windowCount } from './windows.ts';

const cut: fc.Arbitrary<Cut> = fc.record({
  total: fc.bigInt({ min: 0n, max: 1n << 24n }),
  windowBytes: fc.bigInt({ min: 1n, max: 256n }).map((pages) => pages * 4096n),
});
const indexes = fc.uniqueArray(fc.nat({ max: 300 }));

test('each byte of a layer is in exactly one window', () => {
  fc.assert(
    fc.property(cut, (each) => {
      let next = 0n;
      for (let index = 0; index < windowCount(each); index++) {
        const window = windowAt(each, index);
        expect(window.offset).toBe(next);
        expect(window.length > 0n && window.length <= each.windowBytes).toBe(true);
        expect(window.nodeLength % 512n).toBe(0n);
        expect(window.nodeLength - window.length < 512n).toBe(true);
        next += window.length;
      }
      expect(next).toBe(each.total);
      expect(() => windowAt(each, windowCount(each))).toThrow(RangeError);
    }),
  );
});

test('a set that is written down and read again is the same', () => {
  fc.assert(
    fc.property(indexes, (some) => {
      const set = new WindowSet(some);
      const again = WindowSet.parse(String(set), 301);
      expect(again && [...again]).toEqual(some.toSorted((a, b) => a - b));
    }),
  );
  expect(String(new WindowSet([7, 2, 0, 1]))).toBe('0-2,7');
});

test('text that no set writes is no set', () => {
  for (const text of ['x', '1-', '-1', '3-1', '1,1', '2,1', '0-3,3', '01', '1,,2', ' 1', '9', '0-9'])
    expect(WindowSet.parse(text, 9)).toBeUndefined();
  fc.assert(
    fc.property(fc.string(), (text) => {
      const set = WindowSet.parse(text, 50);
      if (set) expect([...set].every((index) => index < 50)).toBe(true);
    }),
  );
});

test('the bytes of a set are the sum of its windows', () => {
  fc.assert(
    fc.property(cut, indexes, (each, some) => {
      const inside = some.filter((index) => index < windowCount(each));
      const sum = inside.reduce((bytes, index) => bytes + windowAt(each, index).length, 0n);
      expect(new WindowSet(inside).bytes(each)).toBe(sum);
    }),
  );
});
