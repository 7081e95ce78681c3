// How much is read at a time, and how long is rested after it.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { pieceFor, restFor } from './file-sums.ts';

const MIB = 1n << 20n;
const speeds = fc.bigInt({ min: 64n * 1024n, max: 1n << 34n });

test('whatever the limit, pieces and rests together keep to it', () => {
  fc.assert(
    fc.property(speeds, fc.nat({ max: 5_000 }), (speed, tookMs) => {
      const piece = pieceFor(speed);
      const ms = tookMs + restFor(piece, speed, tookMs);
      expect((Number(piece) * 1000) / ms).toBeLessThanOrEqual(Number(speed) * 1.000_001);
    }),
  );
});

test('a limit that changes is obeyed within some quarter of a second, unless it is lower than what is worth a read', () => {
  expect(pieceFor(100n * MIB)).toBe(25n * MIB);
  expect(pieceFor(64n * 1024n)).toBe(MIB);
  expect(pieceFor(1n << 40n)).toBe(64n * MIB);
});

test('nothing is rested without a limit, nor after what took long enough by itself', () => {
  expect(restFor(pieceFor(0n), 0n, 0)).toBe(0);
  expect(restFor(10n * MIB, 10n * MIB, 1_500)).toBe(0);
  expect(restFor(10n * MIB, 10n * MIB, 250)).toBe(750);
});
